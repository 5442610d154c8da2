# archive.py ARCHIVE FILE NAME: an archive that holds the file uncompressed at the start of a page, as packagers for Android do,
# and beside it a file with that offset.
import sys
import zipfile

archive, path, name = sys.argv[1:]
entry = zipfile.ZipInfo(name)
entry.extra = b"\0" * (-(30 + len(name)) % 4096)
with zipfile.ZipFile(archive, "w") as out:
    out.writestr(entry, open(path, "rb").read())
open(archive + ".offset", "w").write(str(30 + len(name) + len(entry.extra)))
