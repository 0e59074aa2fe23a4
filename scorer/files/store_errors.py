"""The boundary to fsspec: errors of stores as errors of this package, and another try where a store does not answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from scorer.errors import InputError, MissingBucketError, MissingInputError, OutputError, ScorerError, UnreachableError
from scorer.files.urls import store_of

log = logging.getLogger(__name__)

T = TypeVar("T")

_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each further try at a store that does not answer; libraries behind fsspec have tries of their own."""

_PATIENCE_SECONDS = 60.0
"""A try that ends later than this after the first is the last one: together they stay under two minutes."""

_silent: dict[str, float] = {}
"""Times at which stores did not answer in all tries: for as long as these took, nobody waits for them again."""

# Parts of names of classes: each library behind a store (botocore, aiohttp, requests, google.auth) has its own.
_NOT_TRUSTED = ("Certificate", "CertVerification")
_NO_ANSWER = {
    "Timeout": "no answer in time",
    "DNS": "its host name is not known",
    "gaierror": "its host name is not known",
    "Refused": "the connection was refused",
    "ConnectionError": "the connection failed",
    "HTTPClientError": "the connection failed",
    "PayloadError": "the connection broke",
    "ChunkedEncoding": "the connection broke",
    "IncompleteRead": "the connection broke",
    "Transport": "the connection failed",
}
# Classes, and codes of S3. Who asks is not known to the store: that passes once credentials are renewed or arrive.
_EXPIRED = (
    "ExpiredToken",
    "TokenRefreshRequired",
    "TokenRetrieval",
    "RefreshError",
    "UnauthorizedSSOToken",
    "ExpiredCredentials",
    "RequestExpired",
)
_NOT_ACCEPTED = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId", "AuthFailure")
_NONE = ("NoCredentials", "PartialCredentials", "CredentialRetrieval", "MetadataRetrieval", "DefaultCredentialsError")
# The Hub answers 401 to a name that does not exist.
_OF_THE_HUB = ("RepositoryNotFound", "GatedRepo")
# gcsfs tells the status by words alone.
_OF_GOOGLE = {"Forbidden: ": "Forbidden", "invalid authentication credentials": "AuthFailure"}
# Who asks is known, and has no right to what is asked for.
_NO_ACCESS = (*_OF_THE_HUB, "PermissionError", "Credential", "Token", "Forbidden")
_LATER = (408, 425, 429, *range(500, 600))
_NOT_KNOWN = (401, 407)
_DENIED = (*_NOT_KNOWN, 403)


def asked(shown: str, call: Callable[[], T], *, writing: bool = False) -> T:
    """The result of ``call``, which asks the store of ``shown``; tried again while that does not answer.

    Raises:
        ScorerError: as :func:`store_errors` gives it.
    """
    store = store_of(shown)
    begun = time.monotonic()
    waits = iter(() if begun - _silent.get(store, -math.inf) < _PATIENCE_SECONDS else _WAITS)
    while True:
        try:
            with store_errors(shown, writing=writing):
                return call()
        except UnreachableError as error:
            wait = next(waits, None)
            if wait is None or time.monotonic() - begun > _PATIENCE_SECONDS:
                _silent[store] = time.monotonic()
                raise
            log.debug("%s: %s; trying again in %g s", shown, error.message, wait)
            time.sleep(wait)


@contextmanager
def store_errors(shown: str, *, writing: bool = False) -> Iterator[None]:
    """The boundary to fsspec, whose file systems each raise errors of their own libraries; ``shown`` is the URL."""
    try:
        yield
    except ScorerError:
        raise
    except Exception as error:
        translated = _translated(error, shown)
        if writing and isinstance(translated, MissingBucketError):
            translated = OutputError("there is no such bucket", path=shown, hint="make it first, or check the URL")
        elif writing and not isinstance(translated, UnreachableError):
            translated = OutputError(
                f"could not be written ({_kind(error)})",
                path=shown,
                hint="check the URL, the network and the credentials",
            )
        raise translated from error


def is_refusal(error: Exception) -> bool:
    """True if a store refuses an answer, for whatever reason."""
    return any(_status(one) in (400, *_DENIED) for one in [error, *_behind(error)]) or isinstance(
        error, PermissionError
    )


def says_not_there(error: Exception) -> bool:
    """True if a store says that there is no such file."""
    return isinstance(_translated(error, ""), MissingInputError)


def _translated(error: Exception, shown: str) -> ScorerError:
    """``error`` by its kind and status alone: its text may hold signed URLs and keys."""
    chain = [error, *_behind(error)]
    names = " ".join(kind.__name__ for one in chain for kind in type(one).__mro__)
    names += "".join(f" {_s3_code(one)}" for one in chain)
    names += "".join(f" {name}" for words, name in _OF_GOOGLE.items() if words in str(error))
    statuses = [status for one in chain if (status := _status(one))]
    later = [f"it answers with status {status}" for status in statuses if status in _LATER]
    if any(part in names for part in _NOT_TRUSTED):
        hint = "check the URL, the clock of this machine and its certificates"
        return InputError("its certificate is not trusted", path=shown, hint=hint)
    if (about_credentials := _credentials_error(names, statuses, shown)) is not None:
        return about_credentials
    later += [reason for part, reason in _NO_ANSWER.items() if part in names]
    if later:
        return UnreachableError(
            f"cannot be reached: {later[0]}", path=shown, hint="check the URL and the network, or run again later"
        )
    if any(status in _DENIED for status in statuses) or any(part in names for part in _NO_ACCESS):
        return InputError(
            f"may not be read ({_kind(error)})",
            path=shown,
            hint="renew or check the credentials; some stores say so too of what is not there",
        )
    if any(_s3_code(one) == "NoSuchBucket" for one in chain):
        return MissingBucketError("there is no such bucket", path=shown, hint="check the URL")
    if isinstance(error, FileNotFoundError) or 404 in statuses or 410 in statuses:
        return MissingInputError("no such file", path=shown, hint="check the URL")
    return InputError(
        f"cannot be read ({_kind(error)})", path=shown, hint="check the URL, the network and the credentials"
    )


def _credentials_error(names: str, statuses: Sequence[int], shown: str) -> UnreachableError | None:
    """The error of credentials that are themselves no good; ``None`` if they are, whatever they allow."""
    hint = "renew or set them; a run that is started again resumes"
    if any(part in names for part in _EXPIRED):
        return UnreachableError("refuses credentials that have expired", path=shown, hint=hint)
    if any(part in names for part in _NONE):
        return UnreachableError("no credentials were found", path=shown, hint=hint)
    is_of_the_hub = any(part in names for part in _OF_THE_HUB)
    if any(part in names for part in _NOT_ACCEPTED) or (set(statuses) & {*_NOT_KNOWN} and not is_of_the_hub):
        return UnreachableError("does not accept the credentials", path=shown, hint=hint)
    return None


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """The errors that led to ``error``."""
    for _ in range(20):
        error = None if error is None else error.__cause__ or error.__context__
        if error is None:
            return
        yield error


def _kind(error: Exception) -> str:
    status = next((status for one in [error, *_behind(error)] if (status := _status(one))), 0)
    return f"status {status}" if status else type(error).__name__


def _status(error: BaseException) -> int:
    """The HTTP status that an error states, else 0."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status", None) or getattr(response, "status_code", None) or getattr(error, "code", None)
    return int(found) if str(found).isdecimal() and 400 <= int(found) < 600 else 0


def _s3_code(error: BaseException) -> str:
    """The code of S3, such as ``ExpiredToken``, which comes with status 400."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""
