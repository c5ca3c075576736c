"""What a run found, written for other tools. To add one, write a file and its line in EXPORTS."""

from hpsearch.export.base import Exported, Exporter, export, exported_of
from hpsearch.export.files import write_csv, write_json, write_parquet
from hpsearch.export.mlflow import write_mlflow
from hpsearch.export.optuna import write_optuna
from hpsearch.export.tensorboard import write_tensorboard

EXPORTS: dict[str, Exporter] = {
    "csv": Exporter(write_csv, ".csv"),
    "parquet": Exporter(write_parquet, ".parquet"),
    "json": Exporter(write_json, ".json"),
    "mlflow": Exporter(
        write_mlflow, "-mlflow.db", view="mlflow ui --backend-store-uri sqlite:///{place}"
    ),
    "tensorboard": Exporter(
        write_tensorboard,
        "-tensorboard",
        view="tensorboard --logdir {place}",
        files="events.out.tfevents.*",
    ),
    "optuna": Exporter(write_optuna, "-optuna.db", view="optuna-dashboard sqlite:///{place}"),
}

__all__ = ["EXPORTS", "Exported", "Exporter", "export", "exported_of"]
