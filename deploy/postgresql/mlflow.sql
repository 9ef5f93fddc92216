-- Run once, when the database is made: MLflow's tables are not to lie among those of the store.
CREATE DATABASE mlflow;
