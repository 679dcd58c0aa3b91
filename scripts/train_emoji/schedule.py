"""Training for a given time: learning rates that rise, fall as a cosine, and end when the time is over."""
import math
import time


class Schedule:
    """for fraction in Schedule(minutes, optimizer, peak): one step each; sets the rate before the step."""

    def __init__(self, minutes, optimizer, peak, warmup_steps=100, floor=1e-6):
        self.seconds, self.optimizer, self.peak = 60 * minutes, optimizer, peak
        self.warmup_steps, self.floor, self.step = warmup_steps, floor, 0
        self.started = time.time()

    @property
    def elapsed(self):
        return time.time() - self.started

    def __iter__(self):
        while (fraction := self.elapsed / self.seconds) < 1:
            rate = self.peak * min(1, (self.step + 1) / self.warmup_steps) * (0.5 + 0.5 * math.cos(math.pi * fraction))
            for group in self.optimizer.param_groups:
                group["lr"] = rate + self.floor
            yield fraction
            self.step += 1
