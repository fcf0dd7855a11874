"""Data frames as the content of files."""

import io
import re

import polars

from runner.process.spreadsheets import FORMULA, csv_of


def csv_of_frame(frame: polars.DataFrame) -> bytes:
    """Returns a data frame as CSV, as `csv_of` does; what is null is empty.

    Raises:
        ValueError: a column holds neither numbers, texts nor times.
    """
    lists = [
        name
        for name, kind in frame.schema.items()
        if kind.is_nested() or kind in (polars.Binary, polars.Object)
    ]
    if lists:
        raise ValueError(
            f"{lists[0]}: a CSV cannot hold values of type {frame.schema[lists[0]]}; write a .parquet"
        )
    kinds = (polars.String, polars.Categorical, polars.Enum)
    texts = [_harmless_texts(name) for name, kind in frame.schema.items() if kind in kinds]
    content = frame.with_columns(texts).write_csv(include_header=False)
    return (csv_of([frame.columns]) + content).encode()


def _harmless_texts(name: str) -> polars.Expr:
    text = polars.col(name).cast(polars.String).str.replace_all("\r", r"\r", literal=True)
    is_number = text.cast(polars.Float64, strict=False).is_not_null()
    is_formula = text.str.contains(f"^[{re.escape(''.join(FORMULA))}]") & ~is_number
    return polars.when(is_formula).then(polars.lit("'") + text).otherwise(text).alias(name)


def parquet_of_frame(frame: polars.DataFrame) -> bytes:
    """Returns a data frame as a Parquet file."""
    content = io.BytesIO()
    frame.write_parquet(content)
    return content.getvalue()
