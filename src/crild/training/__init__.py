"""One step (`distiller`), a stage of steps (`trainer`), and a stage in a run's folder (`stage`)."""
