import tomllib
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from training.config import TrainConfig, resolve, to_toml


def test_without_anything_it_is_both_models_in_full() -> None:
    assert resolve({}) == TrainConfig()


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text(
        'name = "shop"\nseed = 1\nprofile = "quick"\n[network]\nepochs = 3\nbatch_size = 8\n', encoding="utf-8"
    )
    config = resolve({"seed": 2, "network": {"encoder": "none"}}, file=file, overrides=["network.epochs=5"])
    assert (config.name, config.seed) == ("shop", 2)
    assert (config.network.epochs, config.network.batch_size) == (5, 8)
    assert (config.network.layers, config.network.hidden) == (1, 128)  # of the profile


def test_a_profile_asks_for_other_steps_with_a_trained_encoder() -> None:
    assert resolve({"profile": "quick", "network": {"encoder": "none"}}).network.learning_rate == 3e-3
    assert resolve({"profile": "quick"}).network.learning_rate == 5e-4
    assert resolve({"profile": "quick", "network": {"encoder": "folder", "start": "default"}}).network.epochs == 4
    assert resolve({"profile": "quick", "network": {"encoder": "folder"}}).network.learning_rate == 5e-5


@pytest.mark.parametrize(
    ("override", "model", "found"),
    [
        ("epochs=3", "network", lambda c: c.network.epochs == 3),
        ("learning_rate=1", "network", lambda c: c.network.learning_rate == 1.0),
        ("strength=2", "linear", lambda c: c.linear.strength == 2.0),
        ("linear.words=true", "network", lambda c: c.linear.words),
        ("ngrams=[1, 2]", "linear", lambda c: c.linear.ngrams == (1, 2)),
        ("test=some/file.csv", "linear", lambda c: c.test == Path("some/file.csv")),
        ('name="a b"', "linear", lambda c: c.name == "a b"),
        ("epochs=3", "joint", lambda c: c.network.epochs == 3),
        ("strength=2", "joint", lambda c: c.linear.strength == 2.0),
        ("network.encoder=/models/bert", "network", lambda c: c.network.encoder == "/models/bert"),
    ],
)
def test_overrides_are_converted(override: str, model: str, found: object) -> None:
    config = resolve({"model": model}, overrides=[override])
    assert callable(found)
    assert found(config)


def test_a_bare_key_of_both_parts_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"'class_weight'; write network\.class_weight or linear\.class_weight$"):
        resolve({"model": "joint"}, overrides=["class_weight=none"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs", "--set takes key=value; found 'epochs'"),
        ("epochs=many", "network.epochs is of type int; found 'many'"),
        ("epochs=true", "network.epochs is of type int; found True"),
        ("epochs=0", "network.epochs is between 1 and 1000; found 0"),
        ("hidden=100", "network.hidden is a multiple of 64; found 100"),
        ("pooling=max", "network.pooling is one of mean, cls; found 'max'"),
        ("profile=slow", "profile is one of quick, full; found 'slow'"),
        ("model=forest", "model is one of network, linear, joint; found 'forest'"),
        ("network=3", "network is a table of settings; found 3"),
        ("calibration=0.9", "calibration is between 0.0 and 0.5; found 0.9"),
        ("linear.ngrams=[1]", "linear.ngrams is of type tuple; found [1]"),
    ],
)
def test_a_wrong_value_is_told(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve({}, overrides=[override])
    assert caught.value.code == "setting_invalid"
    assert caught.value.message == message


@pytest.mark.parametrize("override", ["epoch=3", "network.epoch=3", "forest.depth=3"])
def test_an_unknown_key_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=r"^unknown setting '.*'; known: ") as caught:
        resolve({}, overrides=[override])
    assert caught.value.code == "setting_unknown"


def test_a_file_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text("[linear]\nc = 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^unknown setting 'linear\.c'; known: ngrams, max_features"):
        resolve({}, file=file)


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config .*none\.toml does not exist$"):
        resolve({}, file=tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"bad\.toml is not valid TOML: "):
        resolve({}, file=tmp_path / "bad.toml")


@pytest.mark.parametrize("model", ["linear", "network"])
def test_what_is_printed_can_be_given_back(model: str, tmp_path: Path) -> None:
    config = resolve({"model": model, "train": (Path("a.csv"), Path("b.csv")), "dev": Path("d.csv"), "seed": 3})
    file = tmp_path / "printed.toml"
    file.write_text(to_toml(config), encoding="utf-8")
    assert tomllib.loads(to_toml(config))["model"] == model
    assert resolve({}, file=file) == config


def test_paths_are_kept_by_name_only() -> None:
    body = resolve({"dev": Path("/home/someone/private/dev.csv"), "model": "network"}).to_dict()
    assert body["dev"] == "dev.csv"
    assert "linear" not in body


def test_the_essence_leaves_out_where_things_are() -> None:
    here = resolve({"output": Path("a"), "name": "x"}).essence()
    assert here == resolve({"output": Path("b"), "resume": True}).essence()
    assert here != resolve({"seed": 8}).essence()
    assert here != resolve({}, overrides=["epochs=2"]).essence()
