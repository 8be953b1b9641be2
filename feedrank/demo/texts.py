"""Texts of the simulated posts: plain sentences on the topic, phrases that lean to the cluster.

Phrases reveal the latent cluster of a post only in part, since most are drawn from any cluster: a
classifier of texts finds the right one of ten for about half of the posts.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
# Choices of the demo; with OWN_SHARE a classifier of texts finds the cluster of half of the posts.
FEWEST_SENTENCES, MOST_SENTENCES = 2, 10
PLAIN_SHARE = 0.6  # of sentences that name the place at the end
PHRASE_SHARE = 0.6  # of sentences that carry a turn of phrase
OWN_SHARE = 0.38  # of these phrases that are surely of the post's own cluster


class Words(NamedTuple):
    """Parts of the sentences on one topic."""

    subjects: tuple[str, ...]
    verbs: tuple[str, ...]
    objects: tuple[str, ...]
    places: tuple[str, ...]


WORDS = {
    "business": Words(
        ("the board", "a small bakery chain", "the central bank", "an airline", "the shipping firm",
         "a family brewery", "the steel maker", "one large investor", "the trade ministry"),
        ("announced", "postponed", "defended", "sold", "questioned", "paid for", "approved"),
        ("a merger", "the quarterly dividend", "a new warehouse", "higher wages", "its oil assets",
         "a bond issue", "the annual budget", "cheaper loans", "a share buyback"),
        ("in Frankfurt", "at the shareholders' meeting", "before the markets opened",
         "after a weak quarter", "across the euro area"),
    ),
    "entertainment": Words(
        ("the singer", "a young drummer", "the festival", "a radio host", "the theatre troupe",
         "the quiz show", "a stand-up comedian", "the record label", "the opera house"),
        ("released", "cancelled", "rehearsed", "won", "celebrated", "turned down", "streamed"),
        ("a farewell tour", "the award for best album", "a duet", "the opening night", "a musical",
         "the autumn season", "a charity concert", "an acoustic record", "a guest appearance"),
        ("in a sold-out hall", "on Saturday night", "backstage", "at the London premiere",
         "in front of the fans"),
    ),
    "politics": Words(
        ("the prime minister", "the opposition", "a former judge", "the city council",
         "the foreign secretary", "a group of senators", "the electoral commission", "the mayor"),
        ("rejected", "supported", "amended", "debated", "signed", "blocked", "promised"),
        ("the pension bill", "a border treaty", "an early election", "the school reform",
         "a vote of confidence", "the housing law", "tougher rules for lobbyists", "tax cuts"),
        ("in parliament", "at the party conference", "after a long night of talks",
         "ahead of the summit", "during question time"),
    ),
    "sport": Words(
        ("the goalkeeper", "the home side", "a teenage swimmer", "the champion", "the coach",
         "the national team", "a wing-back", "the veteran cyclist", "the captain"),
        ("won", "lost", "missed", "dominated", "celebrated", "rescued", "trained hard for"),
        ("the cup final", "a penalty shoot-out", "the opening match", "the third set", "the relay",
         "a place in the playoffs", "the mountain stage", "the derby", "a world record"),
        ("in extra time", "in front of a full stadium", "despite an injury", "on a wet pitch",
         "in the last minute"),
    ),
    "tech": Words(
        ("a start-up", "the phone maker", "an open-source project", "the chip designer",
         "a security researcher", "the search company", "a robotics lab", "the games studio"),
        ("unveiled", "patched", "delayed", "tested", "open-sourced", "redesigned", "shipped"),
        ("a faster processor", "the login page", "a flaw in the browser", "a folding screen",
         "the mobile network", "a voice assistant", "an electric delivery van", "the file format"),
        ("at the developer conference", "in a public beta", "over the weekend",
         "on older devices", "in its data centre"),
    ),
    "covid": Words(
        ("the health ministry", "a local hospital", "an epidemiologist", "the vaccine maker",
         "a nursing home", "the school district", "the testing centre", "the airport"),
        ("reported", "reopened after", "warned of", "prepared for", "recorded", "recovered from"),
        ("a rise in cases", "a new variant", "the second wave", "a shortage of masks",
         "the booster campaign", "a strict quarantine", "fewer admissions", "a late outbreak"),
        ("this week", "in the northern region", "since the lockdown ended", "among older patients",
         "according to the daily figures"),
    ),
    "movie": Words(
        ("the detective", "a retired astronaut", "her estranged brother", "a lighthouse keeper",
         "the smuggler", "a travelling pianist", "the young widow", "an honest thief", "the crew"),
        ("searches for", "betrays", "forgives", "discovers", "loses", "protects", "dreams of"),
        ("a hidden letter", "the old theatre", "a stolen painting", "the last train home",
         "a forgotten friend", "the island", "an impossible promise", "the missing witness"),
        ("in a remote village", "during the war", "on the night of the storm", "by the sea",
         "in a city that never sleeps"),
    ),
}  # fmt: skip

# One line for each latent cluster.
PHRASES = (
    ("with a wink", "to loud laughter", "like a running joke", "for the fun of it", "in jest"),
    ("step by step", "by the manual", "in plain numbers", "as the checklist says", "to the letter"),
    ("with a heavy heart", "through tears", "in quiet grief", "as in a farewell", "with regret"),
    ("at full speed", "without a pause", "in a wild rush", "against the clock", "in one breath"),
    ("for the whole family", "with the children", "around the kitchen table", "like at home",
     "with the neighbours"),
    ("as in the old days", "as our grandparents did", "by long tradition", "once again",
     "as the archives tell"),
    ("in deep secrecy", "behind closed doors", "under a false name", "to nobody's knowledge",
     "in the dark"),
    ("against all odds", "with stubborn courage", "despite every setback", "as a true underdog",
     "with clenched teeth"),
    ("in the latest fashion", "with great style", "in bright colours", "for the cameras",
     "all over the feeds"),
    ("with calm patience", "in no hurry", "in the morning light", "far from the noise",
     "in good time"),
)  # fmt: skip


def write_texts(topics: np.ndarray, clusters: np.ndarray, rng: np.random.Generator) -> list[str]:
    """A text for each post; lengths differ.

    Args:
        topics: keys of `WORDS`, shape (n_posts,).
        clusters: rows of `PHRASES`, whole numbers, shape (n_posts,).
        rng: the source of all randomness.
    """
    n_sentences = rng.integers(FEWEST_SENTENCES, MOST_SENTENCES, len(topics), endpoint=True)
    draws = rng.random((int(n_sentences.sum()), 9)).tolist()
    ends = np.cumsum(n_sentences).tolist()
    starts = [0, *ends[:-1]]
    return [
        " ".join(_sentence(WORDS[topic], cluster, drawn) for drawn in draws[start:end])
        for topic, cluster, start, end in zip(topics, clusters.tolist(), starts, ends, strict=True)
    ]


def _sentence(words: Words, cluster: int, drawn: list[float]) -> str:
    """The sentence of nine draws from [0, 1)."""
    is_plain, has_phrase, is_own, any_cluster, phrase = drawn[4:]
    subject, verb, noun, place = map(_pick, words, drawn)
    if has_phrase < PHRASE_SHARE:
        manner = PHRASES[cluster] if is_own < OWN_SHARE else _pick(PHRASES, any_cluster)
        noun = f"{noun} {_pick(manner, phrase)}"
    told = f"{subject} {verb} {noun}"
    sentence = f"{told} {place}." if is_plain < PLAIN_SHARE else f"{place}, {told}."
    return sentence[0].upper() + sentence[1:]


def _pick(choices: tuple[T, ...], drawn: float) -> T:
    return choices[int(drawn * len(choices))]
