"""A table as people have it: gaps, dates, quoted commas, prices as texts, an id and a month, and few positives."""

import csv
import io

import numpy as np

HEADER = ["id", "joined", "month", "plan", "city", "spent", "visits", "income", "churn"]
PLANS, CITIES = ["basic", "family, large", "pro"], ["Bonn", "Ulm", "Jena", "Köln"]


def customers(size=3000, seed=0, missing=0.04):
    """Returns the text of a table of customers, of whom 6 % leave: those who visit little and spend much."""
    generator = np.random.default_rng(seed)
    visits, income, spent = (
        generator.poisson(9, size),
        generator.normal(3000, 700, size),
        generator.gamma(2, 800, size),
    )
    score = spent / 500 - visits + generator.normal(0, 0.5, size)
    churn = score > np.quantile(score, 0.94)
    joined = np.datetime64("2019-01-01") + generator.integers(0, 2000, size).astype("timedelta64[D]")
    rows = [
        [
            str(100000 + 7 * number),
            str(joined[number]),
            str(generator.integers(1, 13)),
            PLANS[generator.integers(3)],
            CITIES[generator.integers(4)],
            f"${spent[number]:,.2f}",
            str(visits[number]),
            f"{income[number]:.1f}",
            "yes" if churn[number] else "no",
        ]
        for number in range(size)
    ]
    for row in rows:
        for index in range(1, len(HEADER) - 1):
            if generator.random() < missing:
                row[index] = "" if generator.random() < 0.5 else "NA"
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows([HEADER, *rows])
    return content.getvalue()
