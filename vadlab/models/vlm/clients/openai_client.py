"""Client of any server that speaks OpenAI's chat completions."""

import base64
import os
import queue
import random
import re
import threading
import time
import weakref
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import simplejpeg

from vadlab.registry import MODELS
from vadlab.utils.errors import ConfigError, MissingDependencyError, ServiceError
from vadlab.utils.run_log import log
from vadlab.utils.suggest import nearest

from ..request import Answer, Request
from .vlm_client import Keep, VLMClient

_RANDOM = random.Random()  # of its own: a slow server must not change the program's random numbers
_LOCAL = ('localhost', '127.0.0.1', '::1', '0.0.0.0')
_LONGEST_DELAY_S = 8.0
_CHECK_S = 10.0
_TELL_AFTER_S = 10.0
_SHORTEST_SECRET = 8  # shorter ones could be ordinary words
_TEXT_TOKENS = 4  # characters per token, about
_SCHEMA_WORDS = re.compile(r'response_format|json_schema|guided|structured|grammar', re.IGNORECASE)
_CONTEXT_WORDS = re.compile(r'context|too long|max_model_len|too many tokens|prompt.{0,40}longer', re.IGNORECASE)
_IMAGE_WORDS = re.compile(r'image|multi-?modal|vision|mmproj', re.IGNORECASE)
_FILTER_WORDS = re.compile(r'content_filter|content management policy|content_policy|safety system', re.IGNORECASE)


@MODELS.register_module()
class OpenAIClient(VLMClient):
    """Asks a server by OpenAI's protocol: OpenAI itself, vLLM, Ollama, llama.cpp, LM Studio and others.

    Requests are sent by several threads. Refused connections, time-outs, the statuses 408, 409, 429 and 5xx, and bodies
    that are not JSON are tried again with growing pauses; ``Retry-After`` is respected. The key is read from the
    environment when the first question is sent. It is never written or logged, not even if the server repeats it.

    If the server does not support JSON schemas, it is asked without one; then the parser reads any text.

    Args:
        model_name (str): As the server names it.
        base_url (str): Address of the server up to ``/v1``.
        api_key_env (str | None): Environment variable with the key; None for a server without one. A server on this
            machine needs no key.
        requests_at_once (int): Threads that ask.
        timeout_s (float): For one call, in seconds.
        patience_s (float): A question is given up when it could not be answered for so many seconds.
        first_delay_s (float): First pause before a question is sent again; it doubles up to 8 seconds.
        image_size (int): Largest side of the frames, in pixels.
        jpeg_quality (int): 1..100.
        max_tokens (int): Largest number of tokens of an answer.
        temperature (float): Of sampling; 0 for the most probable answer.
        seed (int | None): Of sampling; None sends none.
        extra_body (dict | None): Further options of the request, such as ``{'top_k': 1}``; they override.

    Raises:
        ConfigError: A value is out of its range.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str = 'http://localhost:8000/v1',
        api_key_env: str | None = 'OPENAI_API_KEY',
        requests_at_once: int = 8,
        timeout_s: float = 120.0,
        patience_s: float = 300.0,
        first_delay_s: float = 0.5,
        image_size: int = 448,
        jpeg_quality: int = 90,
        max_tokens: int = 300,
        temperature: float = 0.0,
        seed: int | None = 0,
        extra_body: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(model_name, image_size, max_tokens)
        parts = urlsplit(base_url)
        if parts.scheme not in ('http', 'https') or not parts.hostname:
            raise ConfigError(f'OpenAIClient: base_url={base_url!r} is not an address such as http://localhost:8000/v1')
        if parts.username or parts.password or parts.query:
            raise ConfigError('OpenAIClient: base_url must not contain a user, a password or a query; use api_key_env')
        if requests_at_once < 1 or min(timeout_s, patience_s, first_delay_s) <= 0 or not 1 <= jpeg_quality <= 100:
            raise ConfigError(
                'OpenAIClient: requests_at_once, timeout_s, patience_s and first_delay_s must be > 0, and jpeg_quality '
                'in 1..100'
            )
        if temperature < 0:
            raise ConfigError('OpenAIClient: temperature must be at least 0')
        self.base_url = base_url.rstrip('/')
        self.api_key_env = api_key_env
        self.requests_at_once = requests_at_once
        self.timeout_s, self.patience_s, self.first_delay_s = timeout_s, patience_s, first_delay_s
        self.jpeg_quality = jpeg_quality
        self.temperature, self.seed = temperature, seed
        self.extra_body = dict(extra_body or {})
        self._client: Any = None
        self._lock = threading.Lock()
        self._takes_schema = True
        self._away_since: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {
            'model': self.model_name,
            'image': ['jpeg', self.image_size, self.jpeg_quality],
            'max_tokens': self.max_tokens,
            'temperature': self.temperature,
            'seed': self.seed,
            'extra_body': self.extra_body,
        }

    def prepare(self, frame: np.ndarray) -> bytes:
        """The frame as JPEG."""
        return simplejpeg.encode_jpeg(np.ascontiguousarray(frame), quality=self.jpeg_quality, colorsubsampling='444')

    # ------------------------------------------------------------------------------------------------------- asking

    def answers(self, requests: Iterable[Request], keep: Keep) -> None:
        """See :meth:`VLMClient.answers`."""
        todo: queue.Queue[Request | None] = queue.Queue(maxsize=self.requests_at_once)
        errors: list[BaseException] = []
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                try:
                    request = todo.get(timeout=0.2)
                except queue.Empty:
                    continue
                if request is None:
                    return
                try:
                    keep(request, self.ask(request, stop))
                except BaseException as error:  # raised by the main thread
                    errors.append(error)
                    stop.set()

        threads: list[threading.Thread] = []
        try:
            for request in requests:
                if not threads:
                    self.connect()
                if len(threads) < self.requests_at_once:
                    threads.append(threading.Thread(target=work, daemon=True, name='OpenAIClient'))
                    threads[-1].start()
                while not stop.is_set():
                    try:
                        todo.put(request, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if stop.is_set():
                    break
            for thread in threads:
                while thread.is_alive():
                    try:
                        todo.put(None, timeout=0.2)
                        break
                    except queue.Full:
                        continue
            for thread in threads:
                while thread.is_alive():
                    thread.join(0.2)  # in steps, so that Ctrl-C ends it
        finally:
            stop.set()
        if errors:
            raise errors[0]

    def connect(self) -> None:
        """Read the key, and check that the server is there and has the model.

        Raises:
            MissingDependencyError: The package ``openai`` is not installed.
            ConfigError: There is no key, it is refused, or the server does not have the model.
            ServiceError: No server answers.
        """
        with self._lock:
            if self._client is not None:
                return
            openai = _openai()
            client = openai.OpenAI(base_url=self.base_url, api_key=self._key(), timeout=self.timeout_s, max_retries=0)
            weakref.finalize(self, client.close)  # its connections stay open between videos
            try:
                names = [model.id for model in client.models.list(timeout=min(self.timeout_s, _CHECK_S)).data or []]
            except openai.AuthenticationError as error:
                raise ConfigError(self._refused_key()) from error
            except (openai.APIConnectionError, openai.APITimeoutError) as error:
                raise ServiceError(
                    f'No server answers at {self.base_url} ({_cause(error)}). Start it, or set base_url: '
                    '--cfg-options base_url=http://HOST:PORT/v1'
                ) from error
            except Exception:  # many servers have no list of models, or one of another form
                names = []
            if names and self.model_name not in names:
                raise ConfigError(
                    f'The server at {self.base_url} has no model {self.model_name!r}. {nearest(self.model_name, names)}'
                )
            self._client = client

    def _key(self) -> str:
        """The key; a placeholder for a server without one."""
        key = os.environ.get(self.api_key_env, '').strip() if self.api_key_env else ''
        if key:
            return key
        host = urlsplit(self.base_url).hostname
        if self.api_key_env and host not in _LOCAL:
            raise ConfigError(
                f'There is no key for {self.base_url}: the environment variable {self.api_key_env} is not set. Set it '
                f'(export {self.api_key_env}=...), or, for a server without a key, set api_key_env=None'
            )
        return 'none'

    def _refused_key(self) -> str:
        where = f'of the environment variable {self.api_key_env}' if self.api_key_env else '(none: api_key_env=None)'
        return f'The server at {self.base_url} refuses the key {where}'

    def ask(self, request: Request, stop: threading.Event | None = None) -> Answer:
        """Ask one question, again and again while the server is not available.

        Raises:
            ServiceError: There was no answer for ``patience_s`` seconds.
            ConfigError: The server does not take the question.
        """
        openai = _openai()
        begin, tries, delay = time.monotonic(), 0, self.first_delay_s
        while True:
            tries += 1
            sent = time.monotonic()
            pause: float | None = None
            try:
                answer = self._once(request)
                self._is_back()
                return Answer(**{**answer, 'seconds': time.monotonic() - sent, 'tries': tries})
            except openai.AuthenticationError as error:
                raise ConfigError(self._refused_key()) from error
            except openai.PermissionDeniedError as error:
                raise ConfigError(f'The server at {self.base_url} refuses the request: {self._told(error)}') from error
            except openai.NotFoundError as error:
                raise ConfigError(
                    f'{self.base_url} has no chat completions, or no model {self.model_name!r}: {self._told(error)}'
                ) from error
            except openai.APIStatusError as error:
                if error.status_code in (400, 413, 422):
                    if self._drop_schema(request, error):
                        continue
                    if _FILTER_WORDS.search(self._told(error)):
                        return Answer('', is_refused=True, seconds=time.monotonic() - sent, tries=tries)
                    raise ConfigError(self._explained(request, error)) from error
                if error.status_code not in (408, 409, 425, 429) and error.status_code < 500:
                    raise ConfigError(f'The server at {self.base_url} answers: {self._told(error)}') from error
                if 'insufficient_quota' in self._told(error):
                    raise ServiceError(f'The server at {self.base_url} answers: {self._told(error)}') from error
                why, pause = f'status {error.status_code}', _retry_after(error)
            except openai.APIConnectionError as error:  # also time-outs
                why = _cause(error)
            except (openai.APIError, ValueError, _NoAnswerError) as error:  # half a body, or no choices
                why = f'the response cannot be read ({str(error)[:80]})'
            waited = time.monotonic() - begin
            if waited > self.patience_s:
                raise ServiceError(
                    f'The server at {self.base_url} gave no answer for {waited:.0f} s ({tries} tries, the last: {why}).'
                    ' All answers so far are kept; the same command continues'
                )
            self._is_away(why)
            pause = delay * (1 - 0.25 * _RANDOM.random()) if pause is None else min(pause, self.patience_s)
            delay = min(2 * delay, _LONGEST_DELAY_S)
            if stop is not None and stop.wait(pause):
                raise ServiceError('stopped')
            if stop is None:
                time.sleep(pause)

    def _once(self, request: Request) -> dict[str, Any]:
        """Send a question once."""
        content: list[dict[str, Any]] = []
        for number, image in enumerate(request.images, 1):
            if len(request.images) > 1:
                content.append({'type': 'text', 'text': f'Frame {number}:'})
            url = f'data:image/jpeg;base64,{base64.b64encode(image).decode()}'
            content.append({'type': 'image_url', 'image_url': {'url': url}})
        content.append({'type': 'text', 'text': request.text})
        options: dict[str, Any] = {'temperature': self.temperature, 'max_tokens': self.max_tokens}
        if self.seed is not None:
            options['seed'] = self.seed
        if request.schema is not None and self._takes_schema:
            named = {'name': 'answer', 'schema': request.schema, 'strict': True}
            options['response_format'] = {'type': 'json_schema', 'json_schema': named}
        found = self._client.chat.completions.create(
            model=self.model_name,
            messages=[{'role': 'user', 'content': content if request.images else request.text}],
            extra_body=self.extra_body or None,
            **options,
        )
        choices = getattr(found, 'choices', None)
        if not choices or getattr(choices[0], 'message', None) is None:
            raise _NoAnswerError('it has no choices')
        message, reason = choices[0].message, choices[0].finish_reason
        usage = getattr(found, 'usage', None)
        return dict(
            text=self._without_key(message.content or ''),
            tokens_in=int(getattr(usage, 'prompt_tokens', 0) or 0),
            tokens_out=int(getattr(usage, 'completion_tokens', 0) or 0),
            is_refused=bool(getattr(message, 'refusal', None)) or reason == 'content_filter',
            is_cut=reason == 'length',
        )

    # ------------------------------------------------------------------------------------------------------ messages

    def _drop_schema(self, request: Request, error: Any) -> bool:
        """Whether the server refused the JSON schema; then ask without it from now on."""
        if request.schema is None or not self._takes_schema or not _SCHEMA_WORDS.search(self._told(error)):
            return False
        with self._lock:
            if self._takes_schema:
                log(f'{self.base_url} does not support JSON schemas; answers are read as text')
            self._takes_schema = False
        return True

    def _explained(self, request: Request, error: Any) -> str:
        told = self._told(error)
        if _CONTEXT_WORDS.search(told) and request.images:
            numbers = [int(text.replace(',', '')) for text in re.findall(r'\d[\d,]{2,}', told)]
            told = told.rstrip('.')
            advice = 'Show fewer frames (num_frames), or smaller ones (vlm_image_size)'
            if len(numbers) >= 2 and min(numbers[:2]) > 0:
                limit, needed = min(numbers[:2]), max(numbers[:2])
                beside = len(request.text) // _TEXT_TOKENS + self.max_tokens
                per_frame = max((needed - beside) / len(request.images), 1)
                fit = max(int((limit - beside) / per_frame), 0)
                advice = f'About {fit} of these frames fit. Set num_frames={fit}, or a smaller vlm_image_size'
                if not fit:
                    advice = (
                        'Not one of these frames fits. Set a smaller vlm_image_size, or start the server with a longer '
                        'context'
                    )
            return (
                f'{self.model_name}: the {len(request.images)} frames of a question do not fit into the context: '
                f'{told}. {advice}'
            )
        if _IMAGE_WORDS.search(told) and request.images:
            return f'{self.model_name} does not take the images: {told}. Choose a vision-language model'
        return f'The server at {self.base_url} does not take the question: {told}'

    def _told(self, error: Any) -> str:
        return self._without_key(_message_of(error))[:400]  # a cut key would not be found

    def _without_key(self, text: str) -> str:
        """The text; the key, if the server repeats it, is replaced."""
        key: str = self._client.api_key
        return text.replace(key, '***') if len(key) >= _SHORTEST_SECRET else text

    def _is_away(self, why: str) -> None:
        with self._lock:
            now = time.monotonic()
            if self._away_since is None:
                self._away_since = now
            elif now - self._away_since > _TELL_AFTER_S:
                log(f'{self.base_url} has not answered for {_TELL_AFTER_S:.0f} s ({why}); trying again')
                self._away_since = now

    def _is_back(self) -> None:
        with self._lock:
            self._away_since = None


class _NoAnswerError(Exception):
    """The response has no answer in it."""


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise MissingDependencyError(
            'OpenAIClient needs the package openai. Install it: pip install "vadlab[openai]"'
        ) from error
    return openai


def _message_of(error: Any) -> str:
    """The server's own message, without the request."""
    body = getattr(error, 'body', None)
    if isinstance(body, dict):
        error_part = body.get('error')
        inner = error_part if isinstance(error_part, dict) else body
        text = ' '.join(str(inner[name]) for name in ('message', 'code') if inner.get(name))
        if text:
            return ' '.join(text.split())
    return ' '.join(str(error).split())


def _cause(error: BaseException) -> str:
    """The innermost reason of a failed connection."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (' '.join(str(error).split()) or type(error).__name__)[:200]


def _retry_after(error: Any) -> float | None:
    try:
        value = float(error.response.headers.get('retry-after', ''))
    except (ValueError, TypeError, AttributeError):
        return None
    return value if 0 <= value <= 3600 else None
