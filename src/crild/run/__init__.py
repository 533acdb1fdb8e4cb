"""One run: inputs -> models -> plan -> execution -> result, and the folder that holds it."""
