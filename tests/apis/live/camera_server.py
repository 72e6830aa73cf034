"""A camera for tests: MPEG-TS over HTTP, sent at the rate of its frames, encoded by PyAV."""

import socket
import threading
import time

import av
import numpy as np
from av.error import FFmpegError

FPS = 30


class CameraServer:
    """Sends grey pictures with a moving bar to every client, until it is killed.

    Args:
        size: Height and width.
        grey: Takes the seconds since a client connected, returns the grey value.
        keyframes: Frames from one keyframe to the next.
    """

    def __init__(self, size=(48, 64), grey=lambda s: 60, keyframes=10, port=0):
        self.size, self.grey, self.keyframes = size, grey, keyframes
        self.sent = 0
        self._listener = socket.create_server(('127.0.0.1', port))
        self.port = self._listener.getsockname()[1]
        self._clients = []
        self._is_killed = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self):
        return f'http://127.0.0.1:{self.port}/live.ts'

    def kill(self):
        self._is_killed = True
        for sock in (self._listener, *self._clients):
            for close in (lambda s=sock: s.shutdown(socket.SHUT_RDWR), sock.close):
                try:
                    close()
                except OSError:
                    pass

    def again(self, **changes):
        """A new server at the same address."""
        return CameraServer(**{'size': self.size, 'grey': self.grey, 'port': self.port, **changes})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.kill()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.recv(4096)
            sock.sendall(b'HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n')
            self._send_frames(sock)
        except (OSError, FFmpegError):
            pass

    def _send_frames(self, sock):
        with av.open(_Sender(sock), 'w', format='mpegts', options={'flush_packets': '1'}) as out:
            stream = out.add_stream('libx264', rate=FPS)
            height, width = self.size
            stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
            stream.codec_context.gop_size = self.keyframes
            stream.codec_context.options = {'preset': 'ultrafast', 'tune': 'zerolatency', 'threads': '1'}
            began = time.monotonic()
            number = 0
            while not self._is_killed:
                picture = np.full((height, width, 3), self.grey(number / FPS), np.uint8)
                picture[:, number % width] = 255
                for packet in stream.encode(av.VideoFrame.from_ndarray(picture)):
                    out.mux(packet)
                number += 1
                self.sent += 1
                time.sleep(max(began + number / FPS - time.monotonic(), 0))
            raise OSError('killed')


class _Sender:
    def __init__(self, sock):
        self._sock = sock

    def write(self, data):
        self._sock.sendall(bytes(data))
        return len(data)


def until(condition, timeout_s=120.0):
    """Wait for a condition; the time is long, for a busy machine."""
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, 'it did not happen in time'
        time.sleep(0.02)


def write_file(path, seconds, size=(48, 64), grey=lambda s: 60, fps=FPS, codec='libx264', keyframes=10):
    """A file with the pictures of the server."""
    with av.open(str(path), 'w') as out:
        stream = out.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = size[1], size[0], 'yuv420p'
        stream.codec_context.gop_size = keyframes
        for number in range(round(seconds * fps)):
            picture = np.full((*size, 3), grey(number / fps), np.uint8)
            picture[:, number % size[1]] = 255
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture)):
                out.mux(packet)
        for packet in stream.encode():
            out.mux(packet)
    return path
