"""From a CSV file of your own to a student, and the rows that it gets wrong.

python examples/own_csv.py YOUR.csv     (without one: the demo's tweets, written to a CSV file)
"""

import sys
from pathlib import Path

import crild


def tweets_csv(folder: Path) -> Path:
    from crild.data.tweets import tweet_splits

    folder.mkdir(parents=True, exist_ok=True)
    tweets = tweet_splits("demo")["train"].to_pandas()
    tweets["text"] = tweets["text"].str.split().str.join(" ")  # some hold line ends
    tweets.to_csv(folder / "tweets.csv", index=False)
    return folder / "tweets.csv"


def main(csv=None, output="runs/own_csv", base="demo", **options):
    csv = csv or tweets_csv(Path(output))
    # The teacher has no trained head, so it is fine-tuned first; 20 % of the rows are held out for the scores.
    result = crild.distill(teacher=base, data=csv, student=3, output=Path(output) / "run", **options)
    print(result)
    rows = result.predictions
    print("\nright, and then lost:")
    print(rows[(rows.teacher == rows.label) & (rows.student != rows.label)][["text", "label", "student"]].head())
    print(crild.evaluate(model=Path(output) / "run" / "student", data=csv))  # on all rows, training rows among them
    return result


if __name__ == "__main__":
    main(*sys.argv[1:2])
