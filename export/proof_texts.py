"""Texts on which every export is compared with PyTorch: from one word to more than any model reads."""

from __future__ import annotations

_SHORT = (
    "Good",
    "no",
    "👍",
    "Terrible!!!",
    "ok, I guess",
    "Loved it.",
    "5/5",
    "Never again.",
    "…",
    "A waste of money and of an evening.",
    "WORST. CALL. CENTRE. EVER.",
    "so bad it is good 😂😂😂",
    "Perfect little café ☕, we come back every spring 🌸🌷",
    "Not bad at all, and not good either.",
)

_SENTENCES = (
    "I did not expect to like this, and by the second chapter I could not put it down.",
    "The soup was cold, the waiter was rude and the bill had two mistakes, both of them in their favour.",
    "Battery lasts a full day; the screen scratches if you so much as look at it.",
    "If you enjoy watching paint dry, you will adore the middle hour of this film.",
    "Bought it for my mother, who is 81, and she set it up alone in ten minutes.",
    "The room smelled of smoke, the lift was out of order, but the view over the harbour is worth every step.",
    "Great acting cannot save a script in which nobody has a reason to do anything.",
    "Arrived a week late and in the wrong colour.<br /><br />Support answered within the hour and sent a new one.",
    "<p>Solid <b>build</b> quality &amp; a fair price</p>",
    "Visit https://example.org/review?id=42&lang=en for pictures; mail me at nobody@example.org if they do not load.",
    "It's   full of    odd\tspaces and\nlines\n\nbut the point is: buy it!",
    "I'd give it 0 stars if I could... the zipper broke on day 1, the strap on day 2, my patience on day 3.",
)

_OTHER_LANGUAGES = (
    "Das Buch ist großartig, auch wenn der Schluss etwas überhastet wirkt.",
    "Un film très lent, sans âme, dont on sort avec mal à la tête.",
    "La comida estaba deliciosa y el servicio fue rapidísimo. ¡Volveremos!",
    "Il letto era scomodo e il bagno non era pulito.",
    "Отличный сервис, приехали вовремя и всё починили.",
    "この映画は最高でした。また見たいです。",
    "质量很差，用了两天就坏了。",
    "المنتج ممتاز والتوصيل كان سريعا",
    "배송이 너무 늦었고 상자가 찢어져 있었어요.",
    "סרט נפלא, צחקנו ובכינו.",
    "Çok güzel bir otel, ama kahvaltı zayıf. 🥐❌",
    "ยอดเยี่ยมมาก จะกลับมาอีก",
)

_MEDIUM = (
    "We stayed three nights with two small children and a dog, and not once did anybody make us feel unwelcome. "
    "The kitchen is tiny but has everything, down to a waffle iron, and the baker across the street opens at six. "
    "One warning: the stairs are steep, and the light in the hall goes off after twenty seconds.",
    "Where do I begin? The plot turns on a letter that three people read aloud and none of them understands; the hero "
    "learns to fly a helicopter between two cuts; the villain, who has been dead since the opening credits, sends "
    "flowers. My daughter fell asleep. I envied her. And yet the music, by somebody I had never heard of, is so lovely "
    "that I sat through the names of all the caterers to find out who it was.",
    "Update after six months: the left speaker has begun to crackle, which the shop says is normal and which I say is "
    "not. They offered a discount on a new pair. I have used this brand for twenty years and this is my last one. Two "
    "stars, because for the first five months the sound was the best I have had at this price.",
    "As a nurse I am on my feet for twelve hours, and these are the first shoes that I forget about. They look like "
    "two loaves of bread, my colleagues laugh, and then they ask where I bought them. Wash them cold. Order a size up.",
)


def _long(parts: tuple[str, ...], characters: int) -> str:
    """The parts in turn, repeated up to a number of characters."""
    once = " ".join(parts) + " "
    return (once * (characters // len(once) + 1))[:characters]


def _turned(parts: tuple[str, ...], by: int) -> tuple[str, ...]:
    """The parts in the same circle, from another one on."""
    place = by % len(parts)
    return parts[place:] + parts[:place]


PROOF_TEXTS: tuple[str, ...] = (
    *_SHORT,
    *_SENTENCES,
    *_OTHER_LANGUAGES,
    *_MEDIUM,
    # About 70 to 450 tokens of English, for reviews in every bucket of export.differences.
    *(_long(_turned(_SENTENCES, turn), 260 + 40 * turn) for turn in range(5)),
    *(_long(_turned(_SENTENCES + _MEDIUM, 3 * turn), 600 + 55 * turn) for turn in range(8)),
    *(_long(_turned(_MEDIUM + _SENTENCES, 2 * turn), 1300 + 120 * turn) for turn in range(5)),
    # About 130, 260, 450 and 520 tokens, and far more than 512 of each kind.
    _long(_SENTENCES[:4], 600),
    _long(_SENTENCES[3:], 1200),
    _long(_MEDIUM[:2], 2000),
    _long(_MEDIUM[::-1], 2400),
    _long(_MEDIUM[2:] + _SENTENCES, 6000),
    _long(_OTHER_LANGUAGES, 3000),
    _long(("great " * 40, "awful " * 40), 5000),
)
"""Written for this purpose, to prove a bundle anywhere without data of others."""
