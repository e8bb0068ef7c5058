"""The commands are made from the register of skills: typed options, completion, private where personal."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest

from coach.catalogue.tables import Catalogue
from coach.domain import Request
from tests.discord.scripted import ROOT, Script
from tests.discord.sim.world import World, play


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(ROOT / "knowledge" / "catalogue")


@dataclass(frozen=True)
class _Step:
    name: str
    start_week: int
    end_week: int
    weight: int = 1


@dataclass(frozen=True)
class _Plan:
    role: str
    steps: tuple[_Step, ...]


def test_each_skill_is_a_command_with_typed_options(database: str) -> None:
    async def scene(world: World) -> None:
        names = {command.name for command in world.bot.tree.get_commands()}
        assert {
            "ask",
            "roadmap",
            "gap",
            "interview",
            "advise",
            "profile",
            "mydata",
            "privacy",
            "about",
            "server",
        } <= names
        options = {o["name"]: o for o in world.bot.tree.get_command("roadmap").to_dict(world.bot.tree)["options"]}
        assert options["role"]["required"]
        assert options["role"]["autocomplete"]
        assert options["hours"]["type"] == 10
        assert [c["value"] for c in options["level"]["choices"]] == ["junior", "mid", "senior", "staff"]
        gap = world.bot.tree.get_command("gap").to_dict(world.bot.tree)["options"]
        assert next(o for o in gap if o["name"] == "resume")["type"] == 11

    from coach.catalogue.tables import Catalogue as _Catalogue

    play(scene, database, catalogue=_Catalogue(ROOT / "knowledge" / "catalogue"))


def test_options_reach_the_coach(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "roadmap", role="Data scientist", level="junior", hours=8.0)

    request = play(scene, database).requests[0]
    assert request.skill == "roadmap"
    assert request.options == (("role", "Data scientist"), ("level", "junior"), ("hours", "8"))


def test_roles_skills_and_models_complete(database: str, catalogue: Catalogue) -> None:
    async def scene(world: World) -> None:
        roles = await world.alice.autocomplete(world.general, "roadmap", "role", "data")
        assert "Data scientist" in [one["name"] for one in roles]
        skills = await world.alice.autocomplete(world.general, "roadmap", "have", "Python, pand", role="x")
        assert skills[0]["value"].startswith("Python, ")
        models = await world.alice.autocomplete(world.general, "advise", "model", "qwen3")
        assert models
        assert len(models) <= 25

    play(scene, database, catalogue=catalogue)


def test_personal_skills_answer_in_private(database: str) -> None:
    async def scene(world: World) -> None:
        result = await world.alice.slash(
            world.general, "gap", resume=("cv.txt", b"Python and SQL"), role="Data scientist"
        )
        assert result.ephemeral
        assert [m for m in world.general.history(viewer=world.bob) if m.author.id == world.bot.user.id] == []
        interview = await world.alice.slash(world.general, "interview", topic="SQL")
        assert interview.ephemeral

    coach = play(scene, database)
    attachment = coach.requests[0].attachments[0]
    assert (attachment.name, attachment.content) == ("cv.txt", b"Python and SQL")


def test_a_picture_passes_to_the_coach(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.send(
            world.general, f"{world.mention} what is this?", attachments=[("plot.png", b"\\x89PNG....")]
        )

    coach = play(scene, database)
    assert [a.name for a in coach.requests[0].attachments] == ["plot.png"]


def test_a_roadmap_comes_as_a_picture_and_a_file(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "roadmap", role="Data scientist")
        names = [a.filename for a in world.answers()[-1].attachments]
        assert [name.rsplit(".", 1)[1] for name in names] == ["png", "md", "json"]
        from PIL import Image

        picture = Image.open(io.BytesIO(await world.answers()[-1].attachments[0].read()))
        assert picture.size[0] == 1200

    plan = _Plan("data-scientist", (_Step("Python", 1, 4), _Step("Statistics", 3, 9), _Step("SQL", 9, 11)))
    play(scene, database, script=lambda request: Script(result=plan))


def test_an_interview_goes_on_in_one_conversation_and_says_how(database: str) -> None:
    def script(request: Request) -> Script:
        return Script(("Question 1 of 5: What is a join?",), skill="interview", cite=False)  # like the skill itself

    async def scene(world: World) -> None:
        begun = await world.alice.slash(world.general, "interview", topic="SQL")
        assert "Answer with `/interview answer: …`" in begun.response.content
        assert begun.response.embeds == [] or not begun.response.embeds[0].fields
        in_private = await world.alice.user.slash("interview", topic="SQL")
        assert "Answer with" not in in_private.response.content
        await world.alice.slash(world.general, "interview", answer="A join combines rows.")
        await world.bob.slash(world.general, "interview", topic="SQL")

    coach = play(scene, database, script=script)
    assert coach.requests[0].session == coach.requests[2].session
    assert len({request.session for request in coach.requests}) == 3


def test_evidence_is_shown_to_whoever_asks_for_it(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="one")
        await world.restart()
        shown = await world.bob.click(world.answers()[-1], label="Show evidence")
        assert shown.ephemeral
        assert "**Learn statistics first.** Then learn Python." in shown.response.content

    play(scene, database)


def test_a_long_answer_comes_in_parts_within_the_limit(database: str) -> None:
    sentences = tuple(f"Sentence number {number} of a very long answer about machine learning." for number in range(90))

    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="long")
        parts = [m.content for m in world.answers()]
        assert len(parts) > 2
        assert all(len(part) <= 2000 for part in parts)
        assert all(sentence in " ".join(parts) for sentence in sentences)

    play(scene, database, script=lambda request: Script(sentences))


def test_no_evidence_is_said_plainly(database: str) -> None:
    async def scene(world: World) -> None:
        await world.alice.slash(world.general, "ask", question="unknown")
        assert world.answers()[-1].embeds[0].description == "Not in my documents."
        assert world.bot.health.declined == 1

    play(scene, database, script=lambda request: Script(cite=False, outcome="no_evidence"))
