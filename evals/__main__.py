"""`python -m evals` is `coach eval`."""

from evals.cli import eval_app

if __name__ == "__main__":
    eval_app()
