"""What the commands on prices and aliases do, refuse and say."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from ops import prices
from ops.__main__ import cli
from ops.console import reported
from shared.maintenance.reprice import RepriceReport
from shared.pricing.price_book import PriceBook
from tests.fakes import FakeContainer

NANO = "nano_usd_per_token"


class Office:
    """A fleet in memory: overrides, recent models, and a repricer that counts its runs."""

    def __init__(self) -> None:
        self.overrides = FakeContainer("scope")
        self.prices = PriceBook(self.overrides)  # type: ignore[arg-type]
        self.database = None
        self.repricer = self
        self.applied = 0
        self.recent = {"gemini_2_5_flash", "oracle_1"}

    async def apply(self) -> RepriceReport:
        self.applied += 1
        return RepriceReport(repriced=3, pages=1)

    def run(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def connected() -> Any:
            return await work(self)

        return reported(connected)

    def fleet(self, *arguments: str | Path) -> Result:
        return CliRunner().invoke(cli, ["prices", *map(str, arguments)])

    def stored(self) -> list[dict[str, Any]]:
        return [
            {k: v for k, v in item.items() if not k.startswith("_")}
            for item in self.overrides.items.values()
            if item["scope"] == "prices"
        ]


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office()

    async def recent_models(_: object) -> set[str]:
        return made.recent

    monkeypatch.setattr(prices, "run", made.run)
    monkeypatch.setattr(prices, "recent_models", recent_models)
    return made


def test_a_price_is_stored_and_applied(office: Office) -> None:
    ended = office.fleet("put", "oracle-1", "--in", "7", "--out", "9", "--from", "2025-08-05T02:00+02:00")
    assert (ended.exit_code, office.applied) == (0, 1)
    assert "3 interactions priced again" in ended.stdout
    assert ended.stderr == ""
    (stored,) = office.stored()
    assert (stored["id"], stored["tiers"]) == (
        "oracle-1|2025-08-05T00:00:00",
        [{f"input_{NANO}": 7, f"output_{NANO}": 9}],
    )


@pytest.mark.parametrize("name", ["oracle_1", "Oracle 1", "models/oracle-1", "oracle.1"])
def test_a_price_in_any_spelling_is_of_a_model_that_interactions_name(office: Office, name: str) -> None:
    ended = office.fleet("put", name, "--in", "7", "--out", "9", "--from", "2025-08-05")
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_a_price_that_no_recent_interaction_needs_names_those_that_look_like_it(office: Office) -> None:
    ended = office.fleet("put", "orakle-1", "--in", "7", "--out", "9", "--from", "2025-08-05")
    assert ended.exit_code == 0
    assert "No interaction of the last 30 days names the model orakle-1." in ended.stderr
    assert "Did you mean oracle_1?" in ended.stderr


@pytest.mark.parametrize("name", ["google/oracle-1", "oracle-1-001"])
def test_a_price_that_makes_a_name_a_model_of_its_own_says_so(office: Office, name: str) -> None:
    price = ("--in", "7", "--out", "9", "--from", "2025-08-05")
    office.fleet("put", "oracle-1", *price)
    ended = office.fleet("put", name, *price)
    assert ended.exit_code == 0
    assert f"{name} meant oracle-1 before. With a price it is a model of its own." in ended.stderr
    assert office.fleet("put", name, *price).stderr.count("of its own") == 0


def test_prices_by_length_of_the_prompt(office: Office) -> None:
    tiers = ("--tier", "200000:1250:10000:125", "--tier", "any:2500:15000:250")
    assert office.fleet("put", "gemini-2.5-pro", "--from", "2026-01-01", *tiers).exit_code == 0
    (stored,) = office.stored()
    assert [(tier.get("up_to_input_tokens"), tier[f"cached_{NANO}"]) for tier in stored["tiers"]] == [
        (200_000, 125),
        (None, 250),
    ]


def test_a_price_that_would_drop_a_length_of_the_prompt_is_refused(office: Office) -> None:
    ended = office.fleet("put", "gemini-2.5-pro", "--in", "1250", "--out", "10000", "--from", "2025-06-01")
    assert (ended.exit_code, office.stored(), office.applied) == (1, [], 0)
    assert "give a price for each of these lengths" in " ".join(ended.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["oracle-1", "--in", "1", "--from", "2025-08-05"], "give --in and --out"),
        (["oracle-1", "--in", "1", "--out", "1"], "give MODEL and --from"),
        (["--in", "1", "--out", "1", "--from", "2025-08-05"], "give MODEL and --from"),
        (
            ["oracle-1", "--in", "1", "--tier", "any:1:1", "--from", "2025-08-05"],
            "either --in and --out, or --tier",
        ),
        (["oracle-1", "--tier", "any:1", "--from", "2025-08-05"], "--tier any:1: give LIMIT:IN:OUT"),
        (["oracle-1", "--tier", "5:1:1", "--from", "2025-08-05"], "only the last tier has none"),
        (["/", "--in", "1", "--out", "1", "--from", "2025-08-05"], "is no name of a model"),
        (["oracle-1", "--in", "9999999999", "--out", "1", "--from", "2025-08-05"], "less than or equal"),
        (["oracle-1", "--file", "x.json"], "Give either --file, or a model"),
        (["--file", "there-is-none.json"], "there-is-none.json is not a JSON file"),
        (["oracle-1", "--in", "1", "--out", "1", "--from", "someday"], "is not a day"),
    ],
)
def test_wrong_usage_ends_with_2_and_changes_nothing(
    office: Office, arguments: list[str], message: str
) -> None:
    ended = office.fleet("put", *arguments)
    assert (ended.exit_code, office.stored(), office.applied) == (2, [], 0)
    assert message in " ".join(ended.stderr.replace("│", " ").split())


@pytest.mark.parametrize("shape", ["one", "list", "price list"])
def test_prices_of_a_file(office: Office, tmp_path: Path, shape: str) -> None:
    price = {
        "model": "oracle-1",
        "effective_from": "2025-08-05",
        "tiers": [{f"input_{NANO}": 1, f"output_{NANO}": 2}],
    }
    other = price | {"model": "oracle-2"}
    content = {"one": price, "list": [price, other], "price list": {"prices": [price, other]}}[shape]
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(content))
    assert office.fleet("put", "--file", file).exit_code == 0
    assert len(office.stored()) == (1 if shape == "one" else 2)


@pytest.mark.parametrize(
    "content", ["[1]", '"x"', "{", '{"prices": 3}', '{"prices": [{"model": "m"}]}', "[" * 9_000]
)
def test_a_file_without_prices_is_refused(office: Office, tmp_path: Path, content: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(content)
    ended = office.fleet("put", "--file", file)
    assert (ended.exit_code, office.stored()) == (2, [])


def test_an_override_is_removed_and_what_it_priced_is_priced_again(office: Office) -> None:
    office.fleet("put", "oracle-1", "--in", "7", "--out", "9", "--from", "2025-08-05")
    ended = office.fleet("remove", "Oracle_1", "--from", "2025-08-05")
    assert (ended.exit_code, office.stored(), office.applied) == (0, [], 2)
    again = office.fleet("remove", "Oracle_1", "--from", "2025-08-05")
    assert (again.exit_code, office.applied) == (1, 2)
    assert "there is no override of Oracle_1 from 2025-08-05T00:00:00 on" in " ".join(again.stderr.split())


def test_an_alias_is_made_listed_and_removed(office: Office) -> None:
    assert office.fleet("alias", "our-proxy/fast", "gemini-2.5-flash").exit_code == 0
    listed = json.loads(office.fleet("list", "--json").stdout)
    assert {"origin": "override", "alias": "our-proxy/fast", "model": "gemini-2-5-flash"} in listed["aliases"]
    assert "our-proxy/fast" in office.fleet("list").stdout
    assert office.fleet("alias", "our-proxy/fast", "--remove").exit_code == 0
    assert (office.stored(), office.applied) == ([], 2)
    again = office.fleet("alias", "our-proxy/fast", "--remove")
    assert (again.exit_code, office.applied) == (1, 2)


@pytest.mark.parametrize("arguments", [["x"], ["x", "gemini-2.5-flash", "--remove"]])
def test_an_alias_needs_a_model_or_remove(office: Office, arguments: list[str]) -> None:
    assert office.fleet("alias", *arguments).exit_code == 2
    assert office.stored() == []


def test_the_list_has_each_tier_with_the_price_of_cached_input(office: Office) -> None:
    lines = [line.split() for line in office.fleet("list").stdout.splitlines()]
    assert ["gemini-2.5-pro", "2025-10-08", "200,000", "1,250", "125", "10,000"] in lines
    assert ["gemini-2.5-pro", "2025-10-08", "any", "2,500", "250", "15,000"] in lines


def test_what_is_left_to_do_is_said(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unfinished(_: Office) -> RepriceReport:
        return RepriceReport(finished=False, refused=2)

    monkeypatch.setattr(Office, "apply", unfinished)
    ended = office.fleet("apply")
    assert ended.exit_code == 1
    assert "2 keep their old cost" in ended.stdout
    assert "There are more." in ended.stdout
