"""Of a devcontainer.json the safe part is taken; what reaches the host or widens the container is named and left."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.settings import SandboxSettings
from pipeline.environments.choice import choose
from pipeline.environments.commit_files import CommitFiles
from pipeline.environments.json_with_comments import read_json
from pipeline.git.command import Git
from tests.environments.commits import chosen
from tests.git.repositories import git, make_repository

PLACE = ".devcontainer/devcontainer.json"
HOSTILE = {
    "image": "theirs:1",
    "initializeCommand": "touch /tmp/owned",
    "onCreateCommand": "true",
    "mounts": ["source=/,target=/host,type=bind"],
    "runArgs": ["--privileged", "-v", "/:/host"],
    "privileged": True,
    "capAdd": ["SYS_ADMIN"],
    "securityOpt": ["seccomp=unconfined"],
    "dockerComposeFile": "compose.yaml",
    "features": {"registry.example/features/docker-in-docker": {}},
    "remoteEnv": {"A": "${localEnv:ANTHROPIC_API_KEY}"},
    "remoteUser": "root",
    "workspaceMount": "source=/,target=/w,type=bind",
    "containerEnv": {
        "PLAIN": "-Xmx1g",
        "PLACE": "${containerWorkspaceFolder}/lib",
        "LEAK": "${localEnv:ANTHROPIC_API_KEY}",
        "LD_PRELOAD": "/workspace/x.so",
        "BAD NAME": "x",
        "BROKEN": "a\nb",
        "NUMBER": 1,
    },
}


def test_what_reaches_the_host_is_ignored_and_named(tmp_path: Path) -> None:
    choice = chosen(tmp_path, {PLACE: json.dumps(HOSTILE)})
    assert choice.image == "theirs:1"
    assert choice.variables == {"PLAIN": "-Xmx1g", "PLACE": "/workspace/lib"}
    assert choice.notes == (
        (
            f"{PLACE}: ignored, for safety or because it is not supported: capAdd, dockerComposeFile, features, "
            "initializeCommand, mounts, onCreateCommand, privileged, remoteEnv, remoteUser, runArgs, securityOpt, "
            "workspaceMount"
        ),
        (
            f"{PLACE}: containerEnv: ignored, because only plain texts are taken: BAD NAME, BROKEN, LD_PRELOAD, LEAK, "
            "NUMBER"
        ),
    )
    everything = choice.model_dump_json()
    assert not [word for word in ("owned", "/host", "API_KEY", "SYS_ADMIN", "unconfined") if word in everything]


def test_a_build_is_taken_with_its_context_arguments_and_target(tmp_path: Path) -> None:
    build = {"dockerfile": "Dockerfile", "context": "..", "args": {"A": "1", "B": "${localEnv:B}"}, "target": "dev"}
    text = json.dumps({"build": {**build, "options": ["--network=host"], "cacheFrom": "x"}})
    choice = chosen(tmp_path, {PLACE: text})
    assert choice.dockerfile is not None
    assert choice.dockerfile.model_dump() == {
        "path": ".devcontainer/Dockerfile",
        "context": "",
        "arguments": {"A": "1"},
        "target": "dev",
    }
    assert choice.notes == (
        f"{PLACE}: ignored of `build`: cacheFrom, options",
        f"{PLACE}: build.args: ignored, because only plain texts are taken: B",
    )


@pytest.mark.parametrize("build", [{"dockerfile": "../../Dockerfile"}, {"dockerfile": "D", "context": "/etc"}])
def test_a_build_that_leads_out_of_the_repository_decides_nothing(tmp_path: Path, build: dict[str, str]) -> None:
    choice = chosen(tmp_path, {PLACE: json.dumps({"build": build})})
    assert choice.source == "default"
    assert "leads out of the repository" in choice.notes[0]


@pytest.mark.parametrize(
    ("command", "setup"),
    [
        ("make all", ("make all",)),
        (["echo", "a b"], ("echo 'a b'",)),
        ({"one": "make", "two": ["npm", "ci"]}, ("make", "npm ci")),
        ("", ()),
        (None, ()),
        (7, ()),
        ([], ()),
    ],
)
def test_post_create_command_is_setup_in_each_of_its_forms(
    tmp_path: Path, command: object, setup: tuple[str, ...]
) -> None:
    text = json.dumps({"image": "a", "postCreateCommand": command})
    assert chosen(tmp_path, {PLACE: text}, network="setup", setup_timeout=60.0).setup == setup


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is ignored: Expecting property name"),
        ("[]", "is ignored: it is no mapping"),
        ('{"name": "x"}', "names neither an image nor a build"),
        ('{"image": "${localEnv:IMAGE}"}', "names neither an image nor a build"),
        ("[" * 100_000, "is ignored: it is nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_used_decides_nothing_and_is_named(tmp_path: Path, text: str, words: str) -> None:
    choice = chosen(tmp_path, {PLACE: text})
    assert choice.source == "default"
    assert any(words in note for note in choice.notes)


def test_the_only_nested_file_is_taken_and_of_several_none(tmp_path: Path) -> None:
    one = {".devcontainer/a/devcontainer.json": '{"image": "a"}'}
    assert chosen(tmp_path / "1", one).image == "a"
    several = chosen(tmp_path / "2", {**one, ".devcontainer/b/devcontainer.json": '{"image": "b"}'})
    assert several.source == "default"
    assert "there are several" in several.notes[0]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.json"
    outside.write_text('{"image": "secret"}', encoding="utf-8")
    repository = make_repository(tmp_path / "repository")
    (repository / ".devcontainer.json").symlink_to(outside)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "link")
    files = CommitFiles.of(Git(repository), "HEAD")
    choice = choose(SandboxSettings(), files)
    assert choice.source == "default"
    assert ".devcontainer.json is ignored" in choice.notes[0]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.sampled_from(["", "// a comment, }\n", "/* , ] */ "]))
def test_comments_and_trailing_commas_change_nothing(value: object, comment: str) -> None:
    text = json.dumps(value, indent=1)
    commented = comment + text.replace("\n}", ",\n}").replace("\n]", ",\n]") if text.startswith(("{", "[")) else text
    assert read_json(commented + f" {comment}") == value


def test_what_looks_like_a_comment_in_a_text_is_text() -> None:
    assert read_json('{"a": "http://x /* y */ ,}", /* z */}') == {"a": "http://x /* y */ ,}"}
