"""From raw text to what a model sees: normalize, then mask. The same in training, batch and serving.

A bundle names the version of both and a digest of their behaviour, so that a model never meets text that was prepared
in another way than it was trained with.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version

from pipeline.alignment import Offsets, compose, source_span
from pipeline.errors import BundleError, TextError
from pipeline.privacy import MASK_VERSION, mask
from pipeline.resources import shipped
from pipeline.text import MAX_CHARS, NORMALIZER_VERSION, RAW_PER_CHAR, normalize

DIGESTS = {"1": "0938fb318c10ec93012a3c26deb672428ce8149ff8a99322c6b260cd95ccefb8"}
"""Normalizer version -> behaviour digest on data/normalizer_golden.jsonl with the versions below."""

PINNED = {"opencc": "1.4.2", "emoji": "2.16.0", "phonenumbers": "9.0.43"}
"""Versions that the digest was computed with; others may behave alike, which is then found out."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A comment as a model sees it."""

    text: str
    truncated: bool
    pii: tuple[str, ...]  # kinds found, such as 手机号, from left to right
    offsets: Offsets  # into the raw text, see pipeline.alignment
    tail: str = ""  # what no model sees of a cut comment; of `prepare_whole` only

    @property
    def whole(self) -> str:
        """Text and tail, to look for words in."""
        return self.text + self.tail

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """Span of the raw text (code points) that the characters `start:end` of `text` came from."""
        return source_span(self.offsets, start, end)


@dataclass(frozen=True, slots=True)
class TextContract:
    """How text was prepared for a model."""

    normalizer: str
    mask: str
    digest: str


def prepare(raw: object, *, max_chars: int = MAX_CHARS) -> Prepared:
    """Normalize and mask. Idempotent. Raises TextError as `normalize` does, `not_text` for what is no string."""
    normalized = normalize(raw, max_chars=max_chars)  # type: ignore[arg-type]  # it checks
    masked = mask(normalized.text)
    if not masked.spans:
        return Prepared(normalized.text, normalized.truncated, (), normalized.offsets)
    offsets = compose(normalized.offsets, masked.offsets)
    pii = tuple(span.kind for span in masked.spans)
    # Four placeholders in a row are a run to `normalize`; and text that was prepared once must stay as it is.
    again = prepare(masked.text, max_chars=max_chars) if masked.text != normalized.text else None
    if again is None or again.text == masked.text:
        return Prepared(masked.text, normalized.truncated, pii, offsets)
    return Prepared(again.text, normalized.truncated, (*pii, *again.pii), compose(offsets, again.offsets))


def prepare_whole(raw: object, *, max_chars: int = MAX_CHARS) -> Prepared:
    """As `prepare`; of a comment that was cut the rest too, as far as `normalize` would read it.

    The rest is prepared in pieces of the cap, so that one at a seam may be spelled otherwise than in one go.
    """
    found = prepare(raw, max_chars=max_chars)
    if not found.truncated or not isinstance(raw, str):
        return found
    rest = raw[found.raw_span(0, len(found.text))[1] : RAW_PER_CHAR * max_chars]
    pieces = []
    for start in range(0, len(rest), max_chars):
        with suppress(TextError):  # nothing visible
            # A piece may get longer: “㈱” becomes three characters.
            pieces.append(prepare(rest[start : start + max_chars], max_chars=4 * max_chars).text)
    return replace(found, tail="".join(pieces))


def text_contract() -> TextContract:
    """The contract that bundles written now are bound to."""
    return TextContract(NORMALIZER_VERSION, MASK_VERSION, _present_digest())


def verify_contract(contract: TextContract) -> None:
    """Raise BundleError `normalizer_unknown` or `normalizer_mismatch` if text is prepared here in another way."""
    known = f"normalizer {NORMALIZER_VERSION} and mask {MASK_VERSION}"
    if (contract.normalizer, contract.mask) != (NORMALIZER_VERSION, MASK_VERSION):
        raise BundleError(
            "normalizer_unknown",
            f"the model expects normalizer {contract.normalizer} and mask {contract.mask}; this version has {known}; "
            "install the version of fankui that it was trained with, or train it again",
        )
    present = _present_digest()
    if contract.digest != present:
        pins = ", ".join(f"{name}=={pin}" for name, pin in PINNED.items())
        raise BundleError(
            "normalizer_mismatch",
            f"the model expects text prepared with digest {contract.digest[:12]}; here it is {present[:12]}; "
            f"install {pins}, or train it again",
        )


def behaviour_digest() -> str:
    """sha256 over what `prepare` gives for each string of the golden set. Takes about 0.3 s."""
    digest = hashlib.sha256()
    with shipped("data", "normalizer_golden.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            digest.update(json.dumps(_outcome(json.loads(line)["text"])).encode("ascii"))
    return digest.hexdigest()


def _outcome(raw: str) -> list[object]:
    try:
        prepared = prepare(raw, max_chars=200)
    except TextError as error:
        return [error.code]
    return [prepared.text, prepared.truncated, list(prepared.pii)]


def _present_digest() -> str:
    # The golden set costs a third of the first answer's time; with the pinned versions the result is known.
    if all(version(name) == pin for name, pin in PINNED.items()):
        return DIGESTS[NORMALIZER_VERSION]
    return behaviour_digest()
