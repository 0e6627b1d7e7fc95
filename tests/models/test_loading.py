"""From a name to a model, or to one sentence that says why not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from allport.errors import ModelError, UsageError
from allport.models import Endpoint, TransformersModel, load_model
from allport.models.respondent import Question


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Any, tokenizer: Any) -> Path:
    """A model saved as transformers saves it."""
    path = tmp_path / "tiny-llama"
    tiny_model("llama").save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_a_model_knows_how_to_load_it_again(
    folder: Path, tiny_model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    model = load_model(folder.name, batch_size=3)
    assert isinstance(model, TransformersModel)
    assert model.loading is not None
    assert (model.loading["name"], model.loading["batch_size"]) == (str(folder.resolve()), 3)
    monkeypatch.chdir("/")
    assert load_model(**model.loading).describe() == model.describe()
    assert TransformersModel(tiny_model("llama"), tokenizer).loading is None


def test_a_folder_answers_like_the_model_it_was_saved_from(
    folder: Path, tiny_model: Any, tokenizer: Any, ask: Any
) -> None:
    questions: list[Question] = ask(items=2, templates=("letters",), personas=("",))
    model = load_model(str(folder))
    assert isinstance(model, TransformersModel)
    assert model.name == "tiny-llama"
    original = TransformersModel(tiny_model("llama"), tokenizer)
    for one, other in zip(model.answer(questions), original.answer(questions), strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


def test_the_description_says_what_answered(folder: Path, tokenizer: Any, tmp_path: Path) -> None:
    first = load_model(str(folder)).describe()
    assert json.loads(json.dumps(first)) == first
    assert first["kind"] == "transformers"
    assert first["architecture"] == "LlamaForCausalLM"
    assert first["dtype"] == "float32"
    assert load_model(str(folder)).describe() == first

    other = tmp_path / "other" / "tiny-llama"
    shutil.copytree(folder, other)
    assert load_model(str(other)).describe() == first
    (other / "chat_template.jinja").write_text("{{ messages[-1].content }}")
    changed = load_model(str(other)).describe()
    assert {key for key in first if first[key] != changed[key]} == {"chat_template_sha256"}


def test_other_weights_have_another_hash(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    before = load_model(str(folder)).describe()["weights_sha256"]
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_model(str(folder)).describe()["weights_sha256"] != before


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "auto"])
def test_dtype(folder: Path, dtype: str, ask: Any) -> None:
    model = load_model(str(folder), dtype=dtype, device_map="cpu")
    expected = "bfloat16" if dtype == "bfloat16" else "float32"
    assert model.describe()["dtype"] == expected
    questions = ask(items=3, templates=("letters", "words"))
    for response in model.answer(questions):
        assert sum(response.probabilities or ()) == pytest.approx(1)


def test_real_weights_from_a_folder(shared: Path) -> None:
    model = load_model(str(shared / "models" / "stories260k"), max_new_tokens=8)
    assert isinstance(model, TransformersModel)
    assert model.context_length == 512
    assert model.describe()["max_new_tokens"] == 8


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("openai:gpt", {"dtype": "float16"}),
        ("openai:gpt", {"revision": "main"}),
        ("openai:gpt", {"trust_remote_code": True}),
        ("openai:", {}),
        ("somewhere", {"dtype": "int3"}),
    ],
)
def test_options_that_do_not_fit(name: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        load_model(name, **options)


def test_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    model = load_model("openai:some/model", temperature=0.5)
    assert isinstance(model, Endpoint)
    assert model.name == "some/model"
    assert model.describe()["temperature"] == 0.5


@pytest.mark.parametrize(
    "name", ["./nowhere", "/no/such/folder", "~/nowhere", "a/b/c", "C:\\models"]
)
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelError, match="There is no model folder at"):
        load_model(name)


def test_a_name_that_no_model_can_have() -> None:
    with pytest.raises(ModelError, match="neither a folder nor a Hugging Face id"):
        load_model("what is this?")


def test_out_of_reach() -> None:
    # The tests run with HF_HUB_OFFLINE=1: this is what an unplugged machine says.
    with pytest.raises(ModelError, match=r"out of reach.*local folder with the model works too"):
        load_model("somebody/some-model")


def hub_error(kind: str, status: int) -> Exception:
    import httpx2
    from huggingface_hub import errors

    request = httpx2.Request("GET", "http://hub.invalid")
    response = httpx2.Response(status, request=request)
    made: Exception = getattr(errors, kind)("said the hub", response=response)
    return made


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("GatedRepoError", 403, "owner/model is gated: accept its terms"),
        ("RepositoryNotFoundError", 404, "has no model 'owner/model', or it is private"),
        ("RevisionNotFoundError", 404, "owner/model has no revision 'v9'"),
        ("HfHubHTTPError", 503, "owner/model is not on this machine, and .* out of reach"),
    ],
)
def test_what_the_hub_says(
    kind: str, status: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def download(*_: Any, **__: Any) -> str:
        raise hub_error(kind, status)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError, match=message) as caught:
        load_model("owner/model", revision="v9")
    assert "a local folder with the model works too" in str(caught.value)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    import huggingface_hub

    def download(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(ModelError, match="cannot be downloaded: No space left on device"):
        load_model("owner/model")


def test_a_hub_id_is_known_by_its_commit(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    commit = "0123456789abcdef0123456789abcdef01234567"
    asked: list[dict[str, Any]] = []

    def download(name: str, **options: Any) -> str:
        asked.append(options)
        return str(shutil.move(folder, tmp_path / commit))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    model = load_model("owner/model", revision="main")
    described = model.describe()
    assert (described["model"], described["revision"]) == ("owner/model", commit)
    assert "*.py" not in asked[0]["allow_patterns"]
    assert not any("bin" in pattern for pattern in asked[0]["allow_patterns"])


def test_the_hubs_own_hash_is_believed(folder: Path, tmp_path: Path) -> None:
    from allport.files import sha256_of
    from allport.models.identity import files_hash

    weights = folder / "model.safetensors"
    expected = files_hash([weights])
    blob = tmp_path / sha256_of(weights)
    weights.rename(blob)
    weights.symlink_to(blob)
    assert files_hash([weights]) == expected
    blob.write_bytes(b"not read again")
    assert files_hash([weights]) == expected


def test_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        load_model(str(tmp_path))


def test_pickled_weights_are_not_loaded(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="has no safetensors weights"):
        load_model(str(folder))


def test_broken_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{}")
    with pytest.raises(ModelError, match="tiny-llama cannot be loaded"):
        load_model(str(folder))


def test_weights_that_lack_a_part(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"lack 1 of the model's parameters, such as lm_head\.weight"
    ):
        load_model(str(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "no-such-kind"}, "cannot be loaded"),
        ({"model_type": "t5", "architectures": ["T5"]}, "no causal language model"),
        (
            {"model_type": "own", "auto_map": {"AutoConfig": "c.C", "AutoModelForCausalLM": "m.M"}},
            "brings Python code of its own",
        ),
    ],
)
def test_a_kind_of_model_that_cannot_be(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))
    with pytest.raises(ModelError, match=message):
        load_model(str(folder))


def test_no_such_device(folder: Path) -> None:
    with pytest.raises(ModelError, match="no device 'warp'"):
        load_model(str(folder), device_map="warp")


def test_an_embedded_model_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("allport.models.loading.EMBEDDED", tmp_path)
    with pytest.raises(ModelError, match="no embedded model"):
        load_model("embedded")


def test_importing_models_imports_no_torch() -> None:
    code = (
        "import sys, allport.models\n"
        "from allport.models import load_model, parse_choice, prepare_process\n"
        "prepare_process()\n"
        "heavy = {'torch', 'transformers', 'openai', 'polars'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import os; assert os.environ['OMP_WAIT_POLICY'] == 'PASSIVE'\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_every_public_name_is_there() -> None:
    import allport.models

    for name in allport.models.__all__:
        assert getattr(allport.models, name) is not None
    assert set(allport.models.__all__) <= set(dir(allport.models))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = allport.models.nothing
