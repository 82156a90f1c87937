#!/usr/bin/env python3
"""Prints which files of a module import each other in a circle, tests left out. Called by ci/layers.sh, in src/."""

import re
import sys
from pathlib import Path


def text_of(file):
    """The file without its tests, which may use anything."""
    return re.split(r"#\[cfg\((?:all\()?test", file.read_text())[0]


def names(text, prefix):
    """First names of all paths that begin with this prefix of `super::`."""
    for group, single in re.findall(rf"(?<!super::){prefix}(?:\{{([^}}]*)\}}|(\w+))", text):
        yield from re.findall(r"\w+", group or single)


def imports(folder):
    """For each file or folder in a room, the others that it imports: by their names, or by what mod.rs exports of them."""
    members = {path.stem: path for path in folder.iterdir() if path.name != "mod.rs"}
    exported = {}
    for module, group, single in re.findall(r"use (\w+)::(?:\{([^}]*)\}|(\w+))", text_of(folder / "mod.rs")):
        for name in re.findall(r"\w+", group or single):
            exported[name] = module
    graph = {}
    for member, path in members.items():
        files = [path] if path.is_file() else list(path.rglob("*.rs"))
        prefixes = ["super::" if path.is_file() else "super::super::"]
        found = {exported.get(name, name) for file in files for prefix in prefixes for name in names(text_of(file), prefix)}
        graph[member] = (found & set(members)) - {member}
    return graph


def circle(graph):
    """A circle in the graph, if there is one."""
    done = set()

    def walk(member, path):
        if member in path:
            return path[path.index(member):]
        if member in done:
            return None
        for other in sorted(graph[member]):
            found = walk(other, path + [member])
            if found:
                return found
        done.add(member)
        return None

    return next((found for member in sorted(graph) if (found := walk(member, []))), None)


failed = False
for room in sorted(path.parent for path in Path(".").rglob("mod.rs")):
    found = circle(imports(room))
    if found:
        print(f"{room}: {' -> '.join([*found, found[0]])}", file=sys.stderr)
        failed = True
sys.exit(failed)
