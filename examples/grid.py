"""A grid from Python: two methods, two conditions, some seeds, on rows in memory; one table.

python examples/grid.py
"""

import crild
from crild.data.tweets import tweet_splits


def main(output="runs/grid", base="demo", data=None, seeds=(1, 2, 3), **options):
    if data is None:
        data = {name: rows.to_pandas() for name, rows in tweet_splits("demo").items()}
    summary = crild.compare(
        {
            "claim": "CR-ILD stands few rows better than plain KD",
            "tasks": {"tweets": {"data": data["train"], "validation": data["validation"]}},
            "methods": ["kd", "cr-ild"],
            "conditions": {"full": {}, "few": {"train_rows": 100}},
            "seeds": list(seeds),
            "baseline": "kd",
            "options": {"base": base, "student": 3, **options},
        },
        output=output,
    )
    print(summary)
    return summary


if __name__ == "__main__":
    main()
