"""One step (`distiller`) and one stage of steps (`trainer`)."""
