"""One model is loaded at a time: meanwhile transformers changes the default precision of the whole process."""

from __future__ import annotations

import threading

one_at_a_time = threading.RLock()
