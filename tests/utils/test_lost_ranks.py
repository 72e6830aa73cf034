import pytest

from vadlab.utils.lost_ranks import lost_rank_message

PAIR = '[/build/third_party/gloo/gloo/transport/tcp/pair.cc:553] '


@pytest.mark.parametrize(
    'text',
    [
        PAIR + 'Connection closed by peer [127.0.0.1]:40676. This is typically caused by a remote worker crashing.',
        PAIR + 'Read error [127.0.0.1]:40676: Connection reset by peer',
        PAIR + 'writev [127.0.0.1]:40676: Broken pipe',
        'Gloo connectFullMesh failed with [/build/gloo/transport/tcp/pair.cc:144] no error',
        'NCCL error in: NCCLUtils.cpp:5, remote process exited or there was a network error, NCCL version 2.27',
    ],
)
def test_errors_of_torch_after_the_end_of_another_rank(text):
    assert lost_rank_message(RuntimeError(text)).startswith('Another process of this run has ended')


def test_a_rank_that_does_not_answer():
    text = '[/build/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 1800000ms for recv operation to complete'
    assert lost_rank_message(RuntimeError(text)).startswith('Another process of this run has not answered for 1800 s')


@pytest.mark.parametrize(
    'error',
    [
        RuntimeError('mat1 and mat2 shapes cannot be multiplied'),
        RuntimeError('Connection closed by peer'),  # of another library
        ConnectionResetError(104, 'Connection reset by peer'),
    ],
)
def test_other_errors_have_no_such_message(error):
    assert lost_rank_message(error) is None
