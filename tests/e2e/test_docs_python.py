"""What docs/python.md shows is run as it stands, against a real origin."""

import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.origin import Origin

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
WHOLE, IMAGES, VIEWS, TABLE, WORKER = BLOCKS
# A Django project in one file, with the page's two modules beside it.
PROJECT = """
import django
from django.conf import settings
from django.urls import path

settings.configure(ROOT_URLCONF="project", ALLOWED_HOSTS=["testserver"], SECRET_KEY="x")
django.setup()

import views

urlpatterns = [path("posts/<slug>", views.post), path("assets/<name>", views.asset)]

if __name__ == "__main__":
    from django.test import Client

    sys_modules = __import__("sys").modules
    sys_modules["project"] = sys_modules["__main__"]
    text = Client().get("/posts/lake").content.decode()
    print(text)
    asset = Client().get("/assets/" + text.split("/assets/")[1].split('"')[0])
    print(asset.status_code, asset["Content-Type"], asset["Cache-Control"])
"""


@pytest.fixture
def folder(tmp_path: Path, origin: Origin) -> Path:
    """Where the examples run; their cache reaches the origin of the tests."""
    for name, block in (
        ("whole", WHOLE),
        ("images", IMAGES),
        ("views", VIEWS),
        ("table", TABLE),
        ("worker", WORKER),
    ):
        code = block.replace('data_dir="cache"', f'data_dir="cache", connect_to="{origin.connect_to}"')
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    (tmp_path / "project.py").write_text(PROJECT, encoding="utf-8")
    return tmp_path


def run(folder: Path, name: str, given: str = "") -> str:
    """What a program of the page prints; it must end by itself, without a warning."""
    command = [sys.executable, "-W", "error", f"{name}.py"]
    done = subprocess.run(
        command, cwd=folder, input=given, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_first_program_rewrites_an_article(folder: Path) -> None:
    text, image = run(folder, "whole").splitlines()

    assert re.fullmatch(
        r'<p><img src="https://img\.example/assets/[0-9a-f]{64}\.jpg" data-size="600,400"></p>', text
    )
    assert image == "localised http://news.example/pictures/a.jpg"


def test_the_first_program_is_typed(folder: Path) -> None:
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder / "types"), "whole.py"]

    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert done.stdout == "Success: no issues found in 1 source file\n"


def test_a_django_view_shows_a_post_and_its_pictures(folder: Path) -> None:
    text, asset = run(folder, "project").splitlines()

    assert re.match(r'<img src="https://img\.example/assets/[0-9a-f]{64}\.jpg" data-size="300,200">', text)
    assert asset == "200 image/jpeg public, max-age=31536000, immutable"


def test_a_table_is_rewritten_row_by_row(folder: Path) -> None:
    with sqlite3.connect(folder / "posts.sqlite") as database:
        database.execute("CREATE TABLE posts (id INTEGER, body TEXT)")
        bodies = [
            '<img src="http://news.example/pictures/b.jpg">',
            '<img src="http://news.example/gone.jpg">',
        ]
        database.executemany("INSERT INTO posts VALUES (?, ?)", enumerate(bodies, 1))
    database.close()

    said = run(folder, "table")

    database = sqlite3.connect(folder / "posts.sqlite")
    (first,), (second,) = database.execute("SELECT body FROM posts ORDER BY id").fetchall()
    database.close()
    assert first.startswith('<img src="https://img.example/assets/')
    assert (second, said) == (bodies[1], "2 ['source_missing']\n")


def test_a_worker_answers_task_after_task(folder: Path) -> None:
    tasks = "".join(json.dumps({"url": f"http://news.example/pictures/{name}.jpg"}) + "\n" for name in "cd")

    said = [json.loads(line) for line in run(folder, "worker", tasks).splitlines()]

    assert [one["width"] for one in said] == [1200, 1200]
    assert all(one["thumbhash"] for one in said)
