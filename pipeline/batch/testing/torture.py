#!/usr/bin/env python3
"""Kills batches in the middle, lets their disk forget what was not synced, and looks what is left.

A batch (batch_program) is cut off again and again and goes on each time. In the end every item must have exactly one
record, and the outputs must be those of a batch that ran through: none lost, none twice, none torn.

Power is lost in two ways. The calls of one run are noted (recorded_disk.c), and for each call that changes the journal, and
for many others, the disk is made that a loss of power just before it leaves (disk_replay.py): with nothing of what was not
synced, and with some of it. And processes are killed at random moments, some of them together with the power.

  torture.py PROGRAM RECORDED_DISK            the short form, for every change
  torture.py PROGRAM RECORDED_DISK --long     1,000 items; 300 kills; power lost at every call on the journal; disks that fail
"""
import argparse
import contextlib
import csv
import errno
import hashlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from disk_replay import Disk, Log


def reported_in(text):
    """Names of items that were said to be recorded."""
    return {line.removeprefix('recorded ') for line in text.splitlines() if line.startswith('recorded ')}


class Batch:
    """The batch that is tortured, and what it has to come to."""

    def __init__(self, program, library, work, n_items):
        self.program, self.library, self.n_items = program, library, n_items
        self.items, self.log = work / 'items.jsonl', work / 'calls'
        topics = ['bad' if i % 50 == 7 else f'topic {i}' for i in range(1, n_items + 1)]
        self.items.write_text(''.join(json.dumps({'topic': t, 'n': i}) + '\n' for i, t in enumerate(topics, 1)))
        self.n_bad = topics.count('bad')
        self.expected = None
        self.seconds = self.n_calls = 0  # of a run without a crash


class Torture:
    """Tortures a batch in a folder of its own."""

    def __init__(self, batch, work, seed):
        self.batch, self.work, self.random = batch, Path(work), random.Random(seed)
        self.root, self.log = self.work / 'disk', Log(self.work / 'calls')
        self.work.mkdir(exist_ok=True)
        self.made = Counter()

    def fresh(self, disk=None):
        """A disk, empty or as given, of which nothing was noted yet."""
        shutil.rmtree(self.root, ignore_errors=True)
        self.log.path.unlink(missing_ok=True)
        self.log = Log(self.log.path)
        self.disk = disk or Disk()
        self.disk.write(self.root)

    def start(self, environment=None, concurrency=4):
        # Without a wish of the disk's the program runs without it, and faster.
        settings = {} if environment is None else {'LD_PRELOAD': self.batch.library, 'WEFT_DISK_ROOT': str(self.root), **environment}
        return subprocess.Popen([self.batch.program, str(self.root / 'out'), str(self.batch.items), str(concurrency)],
                                env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, environment=None, concurrency=4):
        """Exit code, and what was printed."""
        process = self.start(environment, concurrency)
        out, error = process.communicate(timeout=600)
        return process.returncode, out + error

    def outcome(self):
        """What the batch has made: name to (state, text, files with their hashes). Checks each file against its record."""
        out = self.root / 'out'
        results = {}
        for line in (out / 'results.jsonl').read_text().splitlines():
            item = json.loads(line)
            assert item['name'] not in results, f"{item['name']} stands twice in results.jsonl"
            files = {}
            for file in item['files']:
                data = (out / file['path']).read_bytes()
                assert hashlib.sha256(data).hexdigest() == file['sha256'], f"{file['path']} is torn"
                files[file['path']] = file['sha256']
            results[item['name']] = ('done', item['outputs']['text'], files)
        with open(out / 'failures.csv', newline='') as stream:
            for row in csv.DictReader(stream):
                assert row['name'] not in results, f"{row['name']} has two records"
                results[row['name']] = ('failed', '', {})
        known = {path for _, _, files in results.values() for path in files}
        found = {os.path.relpath(os.path.join(folder, name), out) for folder, _, names in os.walk(out / 'items') for name in names}
        assert found == known, f'files without a record: {sorted(found - known)[:5]}, lost: {sorted(known - found)[:5]}'
        left = [p.name for p in out.iterdir() if p.name.endswith('.tmp')]
        assert not left, f'left behind: {left}'
        return results

    def check_reported(self, reported):
        """What was said to be recorded has its record, and a done one its files, right after the crash."""
        out, copy = self.root / 'out', self.work / 'copy'
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file in out.glob('journal.sqlite*') if out.is_dir() else []:
            shutil.copy(file, copy)  # to look into a journal changes it
        recorded = set()
        if reported or (copy / 'journal.sqlite').exists() and (copy / 'journal.sqlite').stat().st_size > 0:
            with contextlib.closing(sqlite3.connect(copy / 'journal.sqlite')) as journal:
                if journal.execute("SELECT 1 FROM sqlite_schema WHERE name = 'records'").fetchone():
                    recorded = {row[0] for row in journal.execute('SELECT name FROM items JOIN records ON item = id')}
                    for name, path, sha256 in journal.execute('SELECT name, path, sha256 FROM items JOIN files ON item = id'):
                        data = (out / 'items' / name / path).read_bytes()
                        assert hashlib.sha256(data).hexdigest() == sha256, f'{name}/{path} is torn after the crash'
        lost = reported - recorded
        assert not lost, f'{len(lost)} records were reported and lost: {sorted(lost)[:5]}'
        self.made['records that were reported before a crash'] += len(reported)

    def check(self):
        """The batch goes on to its end, which is that of a batch without a crash."""
        code, text = self.run()
        n_bad, n_done = self.batch.n_bad, self.batch.n_items - self.batch.n_bad
        assert code == 0, f'the batch does not go on: {text}'
        assert f'done {n_done} failed {n_bad} pending 0' in text, text
        result = self.outcome()
        assert self.batch.expected in (None, result), 'other results than without a crash'
        return result

    def record_calls(self):
        """Notes the calls of a run, all of them: the disk that they make is the one that is there."""
        self.fresh()
        count = self.work / 'count'
        code, text = self.run({'WEFT_DISK_LOG': str(self.batch.log), 'WEFT_DISK_COUNT': str(count)})
        assert code == 0, text
        calls, disk = list(Log(self.batch.log).read()), Disk()
        for call in calls:
            disk.apply(call)
        real = {os.path.relpath(path, self.root): path.read_bytes() if path.is_file() else None for path in self.root.rglob('*')}
        assert disk.contents() == real, 'the calls that were noted are not all there were'
        self.batch.n_calls = int(count.read_text())
        return calls

    def cut_power(self, losses):
        """Power is lost before some of the noted calls, and the batch goes on. losses: (number of the call, what is left)."""
        disk, reported, waiting, told = Disk(), '', sorted(losses), time.monotonic()
        for number, call in enumerate(Log(self.batch.log).read()):
            while waiting and waiting[0][0] == number:
                left = waiting.pop(0)[1]
                try:
                    self.fresh(disk.after_power_loss(random.Random(number) if left == 'some' else None))
                    self.check_reported(reported_in(reported))
                    self.check()
                except AssertionError as error:
                    raise AssertionError(f'power lost before call {number} ({call.kind} {call.path}), '
                                         f'{left} of what was not synced is left: {error}') from error
                self.made[f'losses of power, {left} left'] += 1
                if time.monotonic() - told > 60:
                    told = time.monotonic()
                    print(f'  {self.work.name}: {len(waiting)} losses of power to come', flush=True)
            if call.kind == 'o':
                reported += call.data.decode()
            disk.apply(call)

    def kill_at_random(self, n):
        """Kills at random moments until n kills were made; every other one takes the power too."""
        made, longest = 0, self.batch.seconds
        while made < n:
            self.fresh()
            made_before = made
            while made < n:
                process, began = self.start({'WEFT_DISK_LOG': str(self.log.path)}), time.monotonic()
                try:
                    process.communicate(timeout=self.random.uniform(0.005, longest))
                    if made == made_before:
                        longest = time.monotonic() - began  # the machine may have more to do now, or less
                    break  # it came to its end
                except subprocess.TimeoutExpired:
                    process.kill()
                    text = process.communicate()[0]
                made += 1
                for call in self.log.read():
                    self.disk.apply(call)
                self.disk.see(self.root)
                if made % 2 == 0:
                    self.fresh(self.disk.after_power_loss(self.random if made % 4 == 0 else None))
                    self.made['kills with a loss of power'] += 1
                self.check_reported(reported_in(text))
            self.check()
        self.made['kills'] += made

    def fail_calls(self, error, environment, what):
        """A disk that refuses: the batch ends with an error or not, and goes on once the disk is well."""
        self.fresh()
        code, text = self.run({**environment, 'WEFT_DISK_ERRNO': str(error)})
        assert code in (0, 1), f'{what}: {text}'
        self.made['disks that fail'] += 1
        self.made['of those ended the batch'] += 1 if code == 1 else 0
        # An output that one failing call hit is a failed item, which is tried again; the rest is as ever.
        code, text = self.run()
        assert code == 0 and 'pending 0' in text, f'{what}: {text}'
        result = self.outcome()
        assert len(result) == self.batch.n_items, f'{what}: {len(result)} records'
        for name, (state, output, files) in result.items():
            if state == 'done':
                assert (state, output, files) == self.batch.expected[name], f'{what}: {name} differs'

    def fail_at(self, number):
        self.fail_calls(errno.EIO, {'WEFT_DISK_FAIL_AT': str(number)}, f'EIO at call {number}')
        self.fail_calls(errno.ENOSPC, {'WEFT_DISK_FAIL_FROM': str(number)}, f'full from call {number} on')
        self.fail_calls(errno.EROFS, {'WEFT_DISK_FAIL_FROM': str(number)}, f'read-only from call {number} on')

    def begin_read_only(self):
        """Nothing can be written from the start, nor where a batch was cut off; then it goes on."""
        self.fresh()
        read_only = {'WEFT_DISK_FAIL_FROM': '1', 'WEFT_DISK_ERRNO': str(errno.EROFS)}
        code, text = self.run(read_only)
        assert code == 1 and 'Read-only file system' in text and 'recorded' not in text, text
        disk = Disk()
        for call in list(Log(self.batch.log).read())[:self.batch.n_items]:
            disk.apply(call)
        self.fresh(disk)
        code, text = self.run(read_only)
        assert code == 1 and 'recorded' not in text, text
        self.check()

    def jump_clock(self):
        self.fresh()
        code, text = self.run({'WEFT_CLOCK_JUMP_AT': str(self.batch.n_items // 2)})
        assert code == 0, text
        self.check()

    def fill_real_disk(self):
        """A disk of 1 MiB that is full, if this process may mount one."""
        self.fresh()
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'weft-torture', str(self.root)]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            print('left out: a full disk, since no tmpfs can be mounted here', flush=True)
            return
        try:
            code, text = self.run()
            assert code == 1 and 'No space left on device' in text, text
            subprocess.run(['mount', '-o', 'remount,size=256m', str(self.root)], check=True)
            self.check()
            print('full disk: stopped with a message, went on with space', flush=True)
        finally:
            subprocess.run(['umount', '-l', str(self.root)], check=True)


def losses_at(calls, numbers):
    """What to try at these calls. Nothing but a sync changes what a loss of power leaves at least: that is tried once between two."""
    losses, last_sync, tried = [], -1, None
    for number, call in enumerate(calls):
        if number in numbers:
            losses += [(number, 'nothing')] if tried != last_sync else []
            losses.append((number, 'some'))
            tried = last_sync
        last_sync = number if call.kind == 's' else last_sync
    return losses


def in_processes(n, work):
    """The sum of work(share) for each of n shares, each in a process of its own."""
    context = multiprocessing.get_context('fork')
    results = context.SimpleQueue()

    def put(share):
        try:
            results.put(work(share))
        except BaseException:
            results.put(traceback.format_exc())

    processes = [context.Process(target=put, args=(share,)) for share in range(n)]
    for process in processes:
        process.start()
    total = Counter()
    for _ in processes:
        made = results.get()
        if isinstance(made, str):
            for process in processes:
                process.terminate()
            raise AssertionError(made)
        total += made
    for process in processes:
        process.join()
    return total


def torture(batch, base, is_long, n_shares):
    first = Torture(batch, base / 'first', seed=7)
    first.fresh()
    began = time.monotonic()
    batch.expected = first.check()
    batch.seconds = time.monotonic() - began
    calls = first.record_calls()
    on_journal = [number for number, call in enumerate(calls) if call.name.startswith('journal')]
    assert 20 < len(on_journal) < len(calls), 'the calls are not seen'
    print(f'{batch.n_items} items in {batch.seconds:.1f} s: {len(on_journal)} calls that change the journal, {len(calls)} in all', flush=True)
    step_journal, step_all, n_kills, n_failing = (1, len(calls) // 400, 300, 40) if is_long else (len(on_journal) // 12, len(calls) // 8, 8, 4)
    numbers = {*on_journal[::max(1, step_journal)], *range(0, len(calls), max(1, step_all))}
    losses = losses_at(calls, numbers)
    failing = range(5, batch.n_calls, max(1, batch.n_calls // n_failing))

    def share(index):
        mine = Torture(batch, base / f'share-{index}', seed=index)
        mine.cut_power(losses[index::n_shares])
        mine.kill_at_random((n_kills + n_shares - 1 - index) // n_shares)
        for number in failing[index::n_shares]:
            mine.fail_at(number)
        if index == 0:
            mine.begin_read_only()
            mine.jump_clock()
            mine.fill_real_disk()
        return mine.made

    print(f'power is to be lost before {len(numbers)} calls, {len(losses)} times', flush=True)
    for what, n in sorted(in_processes(n_shares, share).items()):
        print(f'  {n} {what}')
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f'nothing lost, nothing twice, nothing torn; {time.monotonic() - began:.0f} s, '
          f'{used.ru_utime + used.ru_stime:.0f} s of processor time')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('program')
    parser.add_argument('library')
    parser.add_argument('--long', action='store_true')
    parser.add_argument('--items', type=int)
    arguments = parser.parse_args()
    # A folder in memory: what is tested is the order of the calls, and a real disk would only be slower.
    base = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base, prefix='weft-torture-') as work:
        batch = Batch(arguments.program, arguments.library, Path(work), arguments.items or (1000 if arguments.long else 60))
        try:
            torture(batch, Path(work), arguments.long, max(1, len(os.sched_getaffinity(0))))
        except AssertionError:
            kept = tempfile.mkdtemp(prefix='weft-torture-failed-')
            shutil.copy(batch.log, kept)
            print(f'the calls are kept in {kept}', file=sys.stderr)
            raise
    return 0


if __name__ == '__main__':
    sys.exit(main())
