import pytest
import torch

from vadlab.models.layers.long_positions import stretch_positions


@pytest.mark.parametrize(('short', 'long'), [(64, 196), (77, 248)])
def test_rows_by_hand_twenty_are_kept_and_the_rest_is_stretched_by_four(short, long):
    table = torch.arange(short, dtype=torch.float64)[:, None].expand(-1, 3)
    wanted = [float(i) if i < 20 else 20 + (i - 20) / 4 for i in range(long)]
    torch.testing.assert_close(stretch_positions(table, long)[:, 1], torch.tensor(wanted, dtype=torch.float64))
