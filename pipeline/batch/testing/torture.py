#!/usr/bin/env python3
"""Kills batches in the middle, lets their disk forget what was not synced, and looks what is left.

A batch (batch_program) is cut off again and again and goes on each time. In the end every item must have exactly one
record, and the outputs must be those of a batch that ran through: none lost, none twice, none torn.

  torture.py PROGRAM LOSSY_DISK            the short form, for every change
  torture.py PROGRAM LOSSY_DISK --long     1,000 items; 300 kills; one at every call on the journal; disks that fail
             [--slice I/N]                 of the calls on the journal, every Nth from the Ith on
"""
import argparse
import contextlib
import csv
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class Torture:
    def __init__(self, program, disk, work, n_items):
        self.program, self.disk, self.work, self.n_items = program, disk, Path(work), n_items
        self.items = self.work / 'items.jsonl'
        topics = ['bad' if i % 50 == 7 else f'topic {i}' for i in range(1, n_items + 1)]
        self.items.write_text(''.join(json.dumps({'topic': t, 'n': i}) + '\n' for i, t in enumerate(topics, 1)))
        self.n_bad = topics.count('bad')
        self.root, self.shadow = self.work / 'disk', self.work / 'shadow'
        self.expected = None
        self.kills = self.losses = self.refusals = self.reported = 0

    def fresh(self):
        for folder in (self.root, self.shadow):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def start(self, environment=None, concurrency=4):
        settings = {'LD_PRELOAD': self.disk, 'WEFT_DISK_ROOT': str(self.root), 'WEFT_DISK_SHADOW': str(self.shadow)}
        return subprocess.Popen([self.program, str(self.root / 'out'), str(self.items), str(concurrency)],
                                env={**os.environ, **settings, **(environment or {})}, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def run(self, environment=None, concurrency=4):
        """Exit code, and what was printed."""
        process = self.start(environment, concurrency)
        out, error = process.communicate(timeout=600)
        return process.returncode, out + error

    def lose_power(self):
        """Makes of the disk what it durably held."""
        self.losses += 1
        log = self.shadow / 'names'
        folders = self.durable_names(log.read_text().splitlines() if log.exists() else [])
        contents = {p.name: p.read_bytes() for p in self.shadow.glob('content-*')}
        root = self.root.stat().st_ino
        self.fresh()
        names = []

        def restore(folder, place):
            for name, (kind, inode) in folders.get(folder, {}).items():
                path = place / name
                if kind == 'd':
                    path.mkdir()
                    restore(inode, path)
                else:
                    path.write_bytes(contents.get(f'content-{inode}', b''))
                    (self.shadow / f'content-{path.stat().st_ino}').write_bytes(path.read_bytes())
                names.append(f'{kind} {place.stat().st_ino} {path.stat().st_ino} {name}\n')
            names.append(f's {place.stat().st_ino} 0 .\n')

        restore(root, self.root)
        log.write_text(''.join(names))

    @staticmethod
    def durable_names(changes):
        """What each folder, by number, held when it was synced last: name to (kind, number)."""
        folders, waiting = {}, {}
        for change in changes:
            kind, folder, inode, name = change.split(' ', 3)
            folder, inode = int(folder), int(inode)
            if kind != 's':
                waiting.setdefault(folder, []).append((kind, inode, name))
                continue
            names = folders.setdefault(folder, {})
            for kind, inode, name in waiting.pop(folder, []):
                if kind == '-':
                    names.pop(name, None)
                else:
                    names[name] = (kind, inode)
        return folders

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
        found = {str(p.relative_to(out)) for p in (out / 'items').rglob('*') if p.is_file()}
        assert found == known, f'files without a record: {sorted(found - known)[:5]}, lost: {sorted(known - found)[:5]}'
        left = [p.name for p in out.iterdir() if p.name.endswith('.tmp')]
        assert not left, f'left behind: {left}'
        return results

    def check_reported(self, text):
        """What was said to be recorded has its record, and a done one its files, right after the crash."""
        reported = {line.removeprefix('recorded ') for line in text.splitlines() if line.startswith('recorded ')}
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
        self.reported += len(reported)

    def check(self, what):
        code, text = self.run()
        assert code == 0, f'{what}: the batch does not go on: {text}'
        assert f'done {self.n_items - self.n_bad} failed {self.n_bad} pending 0' in text, f'{what}: {text}'
        result = self.outcome()
        if self.expected is None:
            self.expected = result
        assert result == self.expected, f'{what}: other results than without a crash'

    def count_calls(self, match):
        self.fresh()
        file = self.work / 'count'
        code, text = self.run({'WEFT_DISK_COUNT': str(file), 'WEFT_DISK_MATCH': match}, concurrency=1)
        assert code == 0, text
        return int(file.read_text())

    def kill_at_calls(self, match, calls):
        """Cuts power instead of each of the given calls, and goes on."""
        for call in calls:
            self.fresh()
            code, text = self.run({'WEFT_DISK_CRASH_AT': str(call), 'WEFT_DISK_MATCH': match}, concurrency=1)
            if code == 0:
                continue  # groups fell otherwise, and there were fewer calls
            assert code == -signal.SIGKILL, text
            self.kills += 1
            self.lose_power()
            self.check_reported(text)
            self.check(f'power lost at call {call} on {match or "any file"}')

    def kill_at_random(self, n, longest):
        """Kills at random moments until n kills were made; every other one loses what was not synced."""
        made = 0
        while made < n:
            self.fresh()
            while made < n:
                process = self.start()
                try:
                    process.communicate(timeout=random.uniform(0.005, longest))
                    break  # it came to its end
                except subprocess.TimeoutExpired:
                    process.kill()
                    text = process.communicate()[0]
                made += 1
                self.kills += 1
                if made % 2 == 0:
                    self.lose_power()
                self.check_reported(text)
            self.check(f'after {made} kills')

    def fail_calls(self, error, environment, what):
        """A disk that refuses: the batch ends with an error or not, and goes on once the disk is well."""
        self.fresh()
        code, text = self.run({**environment, 'WEFT_DISK_ERRNO': str(error)})
        assert code in (0, 1), f'{what}: {text}'
        self.refusals += 1 if code == 1 else 0
        # An output that one failing call hit is a failed item, which is tried again; the rest is as ever.
        out = self.root / 'out'
        code, text = self.run()
        assert code == 0 and 'pending 0' in text, f'{what}: {text}'
        result = self.outcome()
        assert len(result) == self.n_items, f'{what}: {len(result)} records'
        for name, (state, output, files) in result.items():
            if state == 'done':
                assert (state, output, files) == self.expected[name], f'{what}: {name} differs'
        assert out.exists()

    def begin_read_only(self):
        """Nothing can be written from the start, nor where a batch was cut off; then it goes on."""
        self.fresh()
        read_only = {'WEFT_DISK_FAIL_FROM': '1', 'WEFT_DISK_ERRNO': str(errno.EROFS)}
        code, text = self.run(read_only)
        assert code == 1 and 'Read-only file system' in text and 'recorded' not in text, text
        self.run({'WEFT_DISK_CRASH_AT': str(self.n_items)})
        code, text = self.run(read_only)
        assert code == 1 and 'recorded' not in text, text
        self.check('a folder was read-only')

    def jump_clock(self):
        self.fresh()
        code, text = self.run({'WEFT_CLOCK_JUMP_AT': str(self.n_items // 2)})
        assert code == 0, text
        self.check('the clock was set back')


def fill_real_disk(torture):
    """A disk of 1 MiB that is full, if this process may mount one."""
    torture.fresh()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'weft-torture', str(torture.root)],
                      capture_output=True).returncode != 0:
        print('left out: a full disk, since no tmpfs can be mounted here')
        return
    try:
        code, text = torture.run({'LD_PRELOAD': ''})
        assert code == 1 and 'No space left on device' in text, text
        subprocess.run(['mount', '-o', 'remount,size=256m', str(torture.root)], check=True)
        torture.check('a disk was full and got space')
        print('full disk: stopped with a message, went on with space')
    finally:
        subprocess.run(['umount', '-l', str(torture.root)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('program')
    parser.add_argument('disk')
    parser.add_argument('--long', action='store_true')
    parser.add_argument('--slice', default='1/1')
    parser.add_argument('--items', type=int)
    arguments = parser.parse_args()
    random.seed(7)
    index, count = (int(part) for part in arguments.slice.split('/'))
    # A folder in memory: what is tested is the order of the calls, and a real disk would only be slower.
    base = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=base, prefix='weft-torture-') as work:
        torture = Torture(arguments.program, arguments.disk, work, arguments.items or (1000 if arguments.long else 60))
        torture.fresh()
        began = time.monotonic()
        torture.check('without a crash')
        whole = time.monotonic() - began
        n_journal, n_all = torture.count_calls('journal'), torture.count_calls('')
        assert n_all > n_journal > 20, 'the calls are not seen'
        print(f'{torture.n_items} items, {n_journal} calls on the journal, {n_all} on any file')
        step = 1 if arguments.long else max(1, n_journal // 12)
        torture.kill_at_calls('journal', range(index, n_journal + 1, step * count))
        print(f'power lost at {torture.kills} calls on the journal: nothing lost')
        if index == 1:
            torture.kill_at_calls('', range(1, n_all + 1, max(1, n_all // (200 if arguments.long else 8))))
            torture.kill_at_random(300 if arguments.long else 8, whole)
            print(f'{torture.kills} kills in all, {torture.losses} with loss of what was not synced: nothing lost')
            for n in range(5, n_all, max(1, n_all // (40 if arguments.long else 4))):
                torture.fail_calls(errno.EIO, {'WEFT_DISK_FAIL_AT': str(n)}, f'EIO at call {n}')
                torture.fail_calls(errno.ENOSPC, {'WEFT_DISK_FAIL_FROM': str(n)}, f'full from call {n} on')
                torture.fail_calls(errno.EROFS, {'WEFT_DISK_FAIL_FROM': str(n)}, f'read-only from call {n} on')
            torture.begin_read_only()
            torture.jump_clock()
            print(f'{torture.reported} records were reported before a crash, none of them was lost')
            print(f'{torture.refusals} batches ended by a failing disk, every one went on')
            fill_real_disk(torture)
    return 0


if __name__ == '__main__':
    sys.exit(main())
