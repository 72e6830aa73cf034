"""An RTSP camera for tests: it asks for a password and sends H.264 over TCP, in RTP packets that FFmpeg makes."""

import base64
import socket
import threading
import time

import av
import numpy as np
from av.error import FFmpegError

SDP = (
    'v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n'
    'm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:track0\r\n'
)


class RTSPServer:
    """Serves one picture of noise and a moving bar, 30 frames per second, to clients with the password."""

    def __init__(self, user='anna', password='hunter22', size=(96, 128)):
        self.wanted = 'Basic ' + base64.b64encode(f'{user}:{password}'.encode()).decode()
        self.size, self.asked = size, []
        self._is_killed = False
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.port = self._listener.getsockname()[1]
        self._clients = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._is_killed = True
        for sock in (self._listener, *self._clients):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(sock)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock):
        waiting = b''
        try:
            while data := sock.recv(4096):
                waiting += data
                while b'\r\n\r\n' in waiting:
                    request, _, waiting = waiting.partition(b'\r\n\r\n')
                    if request[:1] == b'$':  # a report of the receiver
                        continue
                    self._answer(sock, request.decode('latin1'))
        except OSError:
            pass

    def _answer(self, sock, request):
        method = request.split(' ')[0]
        headers = {
            key.lower(): value.strip() for key, _, value in (line.partition(':') for line in request.splitlines()[1:])
        }
        self.asked.append((method, headers.get('authorization')))
        lines, body = [f'CSeq: {headers.get("cseq", "0")}'], ''
        status = '200 OK'
        if method == 'OPTIONS':
            lines.append('Public: DESCRIBE, SETUP, PLAY, TEARDOWN')
        elif headers.get('authorization') != self.wanted:
            status = '401 Unauthorized'
            lines.append('WWW-Authenticate: Basic realm="camera"')
        elif method == 'DESCRIBE':
            body = SDP
            lines += ['Content-Type: application/sdp', f'Content-Length: {len(SDP)}']
        else:
            lines.append('Session: 1')
            if method == 'SETUP':
                lines.append('Transport: RTP/AVP/TCP;unicast;interleaved=0-1')
        sock.sendall(
            f'RTSP/1.0 {status}\r\n{chr(10).join(lines)}\r\n\r\n{body}'.replace('\r\n', '\n')
            .replace('\n', '\r\n')
            .encode()
        )
        if method == 'PLAY':
            threading.Thread(target=self._play, args=(sock,), daemon=True).start()

    def _play(self, sock):
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(('127.0.0.1', 0))
        receiver.settimeout(5)
        port = receiver.getsockname()[1]
        threading.Thread(target=self._encode, args=(port,), daemon=True).start()
        with receiver:
            try:
                while not self._is_killed:
                    packet = receiver.recv(65536)
                    sock.sendall(b'$\0' + len(packet).to_bytes(2, 'big') + packet)
            except OSError:
                pass

    def _encode(self, port):
        height, width = self.size
        try:
            with av.open(f'rtp://127.0.0.1:{port}?pkt_size=1200', 'w', format='rtp') as out:
                stream = out.add_stream('libx264', rate=30)
                stream.width, stream.height, stream.pix_fmt = width, height, 'yuv420p'
                stream.codec_context.gop_size = 10
                stream.codec_context.options = {
                    'preset': 'ultrafast',
                    'tune': 'zerolatency',
                    'x264-params': 'repeat-headers=1',
                }
                began, number = time.monotonic(), 0
                while not self._is_killed:
                    picture = np.full((height, width, 3), 60, np.uint8)
                    picture[:, number % width] = 255
                    for packet in stream.encode(av.VideoFrame.from_ndarray(picture)):
                        out.mux(packet)
                    number += 1
                    time.sleep(max(began + number / 30 - time.monotonic(), 0))
        except (OSError, FFmpegError):
            pass
