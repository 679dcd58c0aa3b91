"""What a loss of power leaves of a disk, from the calls that recorded_disk.c noted.

A Disk follows the calls. It knows of each file and folder what it is now, and what it was when it was synced last: that alone
is sure to outlive a loss of power.

    disk = Disk(); log = Log(path)
    for call in log.read(): disk.apply(call)
    disk.after_power_loss().write(folder)
"""
import os
import struct
from pathlib import Path
from typing import NamedTuple

SECTOR_BYTES = 512  # what a disk writes whole or not at all


class Call(NamedTuple):
    kind: str  # as in recorded_disk.c
    path: str  # below the root; '' is the root
    at: int
    data: bytes

    @property
    def name(self):
        return self.path.rsplit('/', 1)[-1]


class Log:
    """The calls that a program notes in a file, in order."""
    HEADER = struct.Struct('<cxHxxxxQQ')

    def __init__(self, path):
        self.path, self.offset = Path(path), 0

    def read(self):
        """Calls that were noted since the last read. One that was cut off by the end of its process is left out."""
        if not self.path.exists():
            return
        with open(self.path, 'rb') as stream:
            stream.seek(self.offset)
            data = stream.read()
        place = 0
        while place + self.HEADER.size <= len(data):
            kind, path_size, at, size = self.HEADER.unpack_from(data, place)
            path_end = place + self.HEADER.size + path_size
            if path_end + size > len(data):
                break
            yield Call(kind.decode(), data[place + self.HEADER.size:path_end].decode(), at, data[path_end:path_end + size])
            place = path_end + size
            self.offset += self.HEADER.size + path_size + size
        os.truncate(self.path, self.offset)


class File:
    def __init__(self):
        self.now, self.synced = bytearray(), b''
        self.changes = []  # since the last sync: (offset, data), or a size that the file was cut to

    def change(self, change):
        self.changes.append(change)
        self.perform(self.now, change)

    @staticmethod
    def perform(content, change):
        if isinstance(change, int):
            content[change:] = bytes(max(0, change - len(content)))
        else:
            at, data = change
            if at > len(content):
                content.extend(bytes(at - len(content)))
            content[at:at + len(data)] = data

    def sync(self, content):
        if content:
            self.now[:] = content
        self.synced, self.changes = bytes(self.now), []

    def after_power_loss(self, random):
        """The file with its content at the last sync and, given `random`, some sectors of some writes since."""
        content = bytearray(self.synced)
        for change in self.changes if random else []:
            if isinstance(change, int):
                if random.random() < 0.5:
                    self.perform(content, change)
                continue
            at, data = change
            lost = random.choice((0, 0.5, 1))
            while data:
                size = SECTOR_BYTES - at % SECTOR_BYTES
                if random.random() >= lost:
                    self.perform(content, (at, data[:size]))
                at, data = at + size, data[size:]
        left = File()
        left.now, left.synced = content, bytes(content)
        return left


class Folder:
    def __init__(self):
        self.now, self.synced = {}, {}
        self.changes = []  # since the last sync: names to what they became, None for removed ones

    def change(self, names):
        self.changes.append(names)
        self.perform(self.now, names)

    @staticmethod
    def perform(entries, names):
        for name, node in names.items():
            if node is None:
                entries.pop(name, None)
            else:
                entries[name] = node

    def sync(self, _=b''):
        self.synced, self.changes = dict(self.now), []

    def after_power_loss(self, random):
        """The names of the last sync and, given `random`, the first few changes since; names change in order."""
        left = Folder()
        left.now = dict(self.synced)
        for names in self.changes[:random.randint(0, len(self.changes))] if random else []:
            self.perform(left.now, names)
        left.sync()
        return left


class Disk:
    def __init__(self):
        self.root = Folder()
        self.numbers = {}  # of files and folders on the real disk

    def find(self, path):
        node = self.root
        for name in filter(None, path.split('/')):
            node = node.now[name]
        return node

    def place(self, path):
        folder, _, name = path.rpartition('/')
        return self.find(folder), name

    def apply(self, call):
        if call.kind in 'cd':
            folder, name = self.place(call.path)
            node = self.numbers[call.at] = File() if call.kind == 'c' else Folder()
            folder.change({name: node})
        elif call.kind == 'w':
            self.find(call.path).change((call.at, call.data))
        elif call.kind == 't':
            self.find(call.path).change(call.at)
        elif call.kind == 'x':
            folder, name = self.place(call.path)
            folder.change({name: None})
        elif call.kind == 'r':
            folder, name = self.place(call.path)
            to_folder, to_name = self.place(call.data.decode())
            node = folder.now[name]
            if to_folder is folder:  # one step, whatever befalls it
                folder.change({name: None, to_name: node})
            else:
                folder.change({name: None})
                to_folder.change({to_name: node})
        elif call.kind == 's':
            self.find(call.path).sync(call.data)

    def after_power_loss(self, random=None):
        """The disk that is left: what was synced and, given `random`, some of what was not."""
        left = {}

        def leave(node):
            if id(node) not in left:
                left[id(node)] = copy = node.after_power_loss(random)
                if isinstance(copy, Folder):
                    copy.now = {name: leave(entry) for name, entry in copy.now.items()}
                    copy.sync()
            return left[id(node)]

        disk = Disk()
        disk.root = leave(self.root)
        return disk

    def write(self, place, node=None):
        """Makes the folder that `place` names, which must not exist, what this disk is now."""
        place, node = str(place), node or self.root
        os.mkdir(place)
        self.numbers[os.stat(place).st_ino] = node
        for name, entry in node.now.items():
            path = f'{place}/{name}'
            if isinstance(entry, Folder):
                self.write(path, entry)
            else:
                with open(path, 'wb') as stream:
                    stream.write(entry.now)
                self.numbers[os.stat(path).st_ino] = entry

    def see(self, place):
        """Takes over from the real folder what a process did before it was killed and did not come to note: one call."""
        # A real disk gives the number of a file that was removed to the next new one: those of what is still there count.
        there = {id(node) for node in self.nodes(self.root)}
        self.numbers = {number: node for number, node in self.numbers.items() if id(node) in there}
        self.see_folder(str(place), self.root)

    def see_folder(self, place, node):
        found = {entry.name: entry for entry in os.scandir(place)}
        changes = {name: None for name in node.now if name not in found}
        for name, entry in found.items():
            known = self.numbers.get(entry.inode())
            if known is None:
                known = self.numbers[entry.inode()] = Folder() if entry.is_dir() else File()
            if node.now.get(name) is not known:
                changes[name] = known
            if isinstance(known, Folder):
                self.see_folder(entry.path, known)
            elif (content := Path(entry.path).read_bytes()) != known.now:
                known.change(0)
                known.change((0, content))
        if changes:
            node.change(changes)

    def nodes(self, node):
        """The file or folder itself and all below it."""
        yield node
        for entry in node.now.values() if isinstance(node, Folder) else ():
            yield from self.nodes(entry)

    def contents(self, node=None, path=''):
        """Path to content of each file, and to None of each folder."""
        result = {}
        for name, entry in (node or self.root).now.items():
            below = f'{path}/{name}' if path else name
            if isinstance(entry, Folder):
                result[below] = None
                result.update(self.contents(entry, below))
            else:
                result[below] = bytes(entry.now)
        return result
