"""Runs in MLflow, for those who track elsewhere: conditions as parameters, means as metrics, the report as artefacts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from coach.errors import ConfigError
from evals.harness import SuiteResult

EXPERIMENT = "ml-career-coach"


def track(results: Sequence[SuiteResult], uri: str, report_dir: Path) -> str:
    """Record a run and return its id. Raises ConfigError without the extra, or when the store cannot be used."""
    try:
        import mlflow
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise ConfigError("MLflow needs the extra: pip install 'ml-career-coach[mlflow]'.") from error
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run() as run:
            if results:
                mlflow.log_params(results[0].conditions)
            for result in results:
                means = result.means()
                mlflow.log_metrics({_plain(f"{result.suite}.{name}"): value for name, value in means.items()})
            mlflow.log_artifacts(str(report_dir))
    except (MlflowException, OSError) as error:
        raise ConfigError(f"MLflow at {uri} did not take the run: {error}") from error
    return str(run.info.run_id)


def _plain(name: str) -> str:
    """A metric name as MLflow takes it: hit@5 becomes hit_at_5."""
    return re.sub(r"[^\w./ -]", "_", name.replace("@", "_at_"))
