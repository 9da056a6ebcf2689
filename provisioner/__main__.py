"""The command ``provisioner``, and ``python -m provisioner``."""

import atexit
import gc

# A command ends before cyclic garbage matters. Collecting it while the libraries load
# takes a tenth of the run time, and so does the last collection at exit. The sandbox,
# which keeps running, turns collection on again.
gc.disable()
atexit.register(gc.freeze)

from provisioner.cli.main import main  # noqa: E402  # the lines above must run before this import

__all__ = ["main"]

if __name__ == "__main__":
    main()
