"""The service: scores, reasons and actions over HTTP. Owns the wire; scores by the rooms below.

BentoML is the shell (service.py), a strict ASGI app the face (app.py). Nothing here imports
training, optuna or mlflow: a server needs the bundles, the store and `churnml.toml` alone."""
