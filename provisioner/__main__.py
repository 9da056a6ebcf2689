"""The command ``provisioner``, and ``python -m provisioner``."""

import atexit
import gc

# A command ends before a cycle of garbage matters, and looking for some while the
# libraries load takes a tenth of its time, as does a last look when it ends. The
# sandbox, which stays, turns it on again.
gc.disable()
atexit.register(gc.freeze)

from provisioner.cli.main import main  # noqa: E402  # what it loads is what the lines above are for

__all__ = ["main"]

if __name__ == "__main__":
    main()
