"""Bad input where a report goes: refused before any work."""

from refusals import Bad, command, over

from deepwright.checks.running import AuditReport
from deepwright.report import as_evidence, log_report, write_history
from deepwright.workflows import AuditOptions


def to(folder, **places):
    return AuditOptions(out=None, **{name: folder / place for name, place in places.items()})


def file(folder):
    (folder / "file").write_text("")
    return folder


def binary(folder):
    (folder / "b").write_bytes(b"\xff\xfe")
    return folder


def single(folder):
    (folder / "report.json").write_text("{}")
    return folder


ROWS = [
    Bad("a folder for Markdown", lambda p: to(p, markdown="."), ("markdown", "a folder")),
    Bad("a name of nothing for JUnit", lambda p: AuditOptions(junit=""), ("junit", "name of a file")),
    Bad("a file in a file", lambda p: to(file(p), junit="file/a.xml"), ("junit", "can't be written")),
    Bad("one file for two forms", lambda p: to(p, markdown="a", junit="a"), ("junit", "the file of markdown")),
    Bad("evidence in another form", lambda p: to(p, evidence="e.pdf"), ("evidence", ".md, .csv, .json")),
    Bad("evidence of another form", lambda p: as_evidence(AuditReport({}, []), ".pdf"), ("form", ".csv")),
    Bad("a card over bytes", lambda p: to(binary(p), card="b"), ("card", "a card that an audit wrote")),
    Bad("--card over a README", lambda p: command("audit", "--card", file(p) / "file"), ("--card", "something else")),
    Bad("keep without a folder", lambda p: AuditOptions(out=None, keep=True), ("keep", "no folder")),
    Bad("a history of no folder", lambda p: write_history(p / "none"), ("history", "none", "folder of kept reports")),
    Bad("a history of a file", lambda p: write_history(file(p) / "file"), ("history", "no folder")),
    Bad("--keep beside a report", lambda p: command("audit", "--keep", "--out", single(p)), ("keep", "--out")),
    Bad("an unknown tracker", lambda _: AuditOptions(log=["mlflo"]), ("unknown log", "mlflow")),
    Bad("a text for trackers", lambda _: AuditOptions(log="wandb"), ("log", "several")),
    Bad("an unknown tracker to log to", lambda _: log_report(AuditReport({}, []), "x"), ("unknown log", "wandb")),
    Bad("--log to an unknown tracker", lambda _: command("audit", "--log", "neptune"), ("--log", "mlflow")),
    Bad("--junit into a folder", lambda p: command("audit", "--junit", p), ("--junit", "a folder")),
    Bad(
        "--markdown and --junit into one file",
        lambda p: command("audit", "--out", p, "--junit", p / "a", "--markdown", p / "a"),
        ("--junit", "the file of markdown"),
    ),
]

test_it_is_refused = over(ROWS)
