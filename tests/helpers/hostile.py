"""Predictions with names and texts that attack a page, a terminal or a table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SCRIPT = "<script>document.title='pwned'</script>"


def payloads(address: str) -> list[str]:
    """Texts that run, fetch or break something if they are taken for markup; they request ``address``."""
    return [
        SCRIPT,
        f"\"><img src={address}/img onerror=document.title='pwned'>",
        f"'><svg onload=document.title='pwned'><image href={address}/svg></svg>",
        f"</style><style>@import url({address}/css);body{{display:none}}</style>",
        f"</title></script><script src={address}/js></script>",
        f"</details></blockquote></main></body></html><iframe src={address}/frame></iframe><base href={address}/>",
        f"<meta http-equiv=refresh content='0;url={address}/meta'><link rel=stylesheet href={address}/link>",
        "{{ 7 * 7 }} {% for x in y %} ${7*7} <!-- --><![CDATA[ ]]> &lt;b&gt; &#0; $x^2$",
        "bell \x07, escape \x1b[31m, null \x00, carriage\rreturn, del \x7f, c1 \x9b, turned \u202egnol\u202c \u2028",
        "x" * 50_000,
        "\u0e01" * 20_000 + " \N{FAMILY} " * 500,
        "word " * 10_000,
        "\n" * 5_000 + "\t" * 5_000,
        "a\u0301\u0302\u0303\u0304" * 2_000,
    ]


def write_hostile(path: Path, address: str, *, shift: int = 0, labels: tuple[str, ...] | None = None) -> None:
    """Write predictions beside gold labels, most of them wrong; ``shift`` chooses which ones."""
    texts = payloads(address)
    names = labels or ("negative " + SCRIPT, f"\"><img src={address}/label onerror=document.title='pwned'>")
    rows = []
    for number in range(80):
        gold = number % len(names)
        predicted = (number + (number + shift) % 3) % len(names)
        sure = 0.99 - number / 400
        rows.append(
            {
                "id": f"{texts[number % 9]} {number}",
                "text": texts[number % len(texts)],
                "label": names[gold],
                "</th><script>document.title='pwned'</script>": texts[number % 9],
                "pred_label": names[predicted],
                "pred_score": sure,
                **{
                    f"pred_prob_{name}": sure if place == predicted else (1 - sure) / (len(names) - 1)
                    for place, name in enumerate(names)
                },
                "pred_status": "ok",
            }
        )
    table = pa.Table.from_pylist(rows)
    float32 = [
        pa.field(field.name, pa.float32()) if pa.types.is_floating(field.type) else field for field in table.schema
    ]
    pq.write_table(table.cast(pa.schema(float32)), path)
