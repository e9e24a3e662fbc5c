"""What people ask and what an answer says, as phrases per topic."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topic:
    """Something people ask about."""

    category: str
    """The field ``query_category``."""
    weight: float
    queries: tuple[str, ...]
    counsel: tuple[str, ...]
    """Sentences an answer is built from."""
    citation: str
    """What a passage cited for this topic is about."""


TOPICS: tuple[Topic, ...] = (
    Topic(
        "leadership_guidance",
        5,
        (
            "What lessons can we learn from leadership during times of crisis?",
            "How do I lead a team that no longer trusts its management?",
            "My team failed and I must explain it to the board. Where do I begin?",
        ),
        (
            "A leader is first to accept the blame and last to accept the praise.",
            "Act for the good of those who depend on you, not for what they will say of you.",
            "Name what is true before you name what is to be done.",
        ),
        "acting for the welfare of all rather than for reward",
    ),
    Topic(
        "decision_making",
        6,
        (
            "How do I choose between a secure job and the work I love?",
            "I have two good options and cannot decide. What should I weigh?",
            "How can I decide when every choice will hurt somebody?",
        ),
        (
            "Ask which choice you could defend on the last day of your life.",
            "Indecision is a decision in favour of what already is.",
            "Separate what you control from what you only fear.",
        ),
        "seeing clearly before acting",
    ),
    Topic(
        "duty_vs_desire",
        4,
        (
            "My family expects me to take over the business and I want to study music.",
            "Is it selfish to follow my own path when others depend on me?",
            "How do I know what my duty is?",
        ),
        (
            "Better one's own path walked imperfectly than another's walked well.",
            "Duty that is done with resentment helps nobody.",
            "Look at what you are when nobody asks anything of you.",
        ),
        "one's own duty and the fruits of action",
    ),
    Topic(
        "work_stress",
        6,
        (
            "I lie awake thinking about deadlines. How can I find peace at work?",
            "Why do I feel empty although my career goes well?",
            "How can I work hard without being consumed by it?",
        ),
        (
            "Give yourself to the task, and give up the account of what it will bring.",
            "The mind that is counting its burdens adds one to them.",
            "Rest is part of the work, as silence is part of music.",
        ),
        "work without attachment to its results",
    ),
    Topic(
        "grief_and_loss",
        3,
        (
            "My mother died in spring and I cannot stop grieving. Will it pass?",
            "How do I live on after losing my closest friend?",
        ),
        (
            "Grief is love that has lost its address; let it be spoken.",
            "What was given cannot be ungiven by its ending.",
            "Let those who sit with you simply sit with you.",
        ),
        "what dies and what does not",
    ),
    Topic(
        "relationships",
        5,
        (
            "How can I forgive a friend who betrayed me?",
            "My partner and I argue about everything. How do we begin again?",
            "How do I love somebody without losing myself?",
        ),
        (
            "Forgiving is putting down the coal that you meant to throw.",
            "Listen until you could argue the other side better than your own.",
            "Two trees that stand too close both grow crooked.",
        ),
        "forgiveness and love of one's neighbour",
    ),
    Topic(
        "anger_and_fear",
        4,
        (
            "How do I deal with anger that comes up before I notice it?",
            "What can I do against the fear of failing?",
        ),
        (
            "Between the spark and the fire there is a breath; live there.",
            "Fear shrinks when it is looked at and grows when it is fled.",
            "Ask what the anger wants to protect.",
        ),
        "mastering the mind",
    ),
    Topic(
        "spiritual_growth",
        5,
        (
            "How should I begin to meditate when my thoughts never rest?",
            "What is the difference between surrender and giving up?",
            "How can I recognise progress on an inner path?",
        ),
        (
            "The restless mind is tamed by practice and by letting go.",
            "Small and daily is greater than grand and seldom.",
            "You will know it by what no longer disturbs you.",
        ),
        "practice and a steady mind",
    ),
    Topic(
        "ethical_dilemmas",
        3,
        (
            "Is it right to lie to protect somebody?",
            "I found out that my company hides a defect. What should I do?",
        ),
        (
            "A wrong that is shared is not halved.",
            "Speak what is true, in a way that it can be heard.",
            "Consider whether you could want everybody to act so.",
        ),
        "what is just, whether or not it pays",
    ),
    Topic(
        "meaning_of_life",
        3,
        (
            "What is a good life?",
            "Does anything I do matter in a hundred years?",
        ),
        (
            "Ask not whether it lasts but whether it was worth its day.",
            "A life is good that can be examined without shame.",
            "You are not asked to finish the work, only not to leave it.",
        ),
        "the shortness of life and its use",
    ),
)

OTHER_LANGUAGES: dict[str, tuple[str, ...]] = {
    "hi": (
        "मैं अपने कर्तव्य और अपनी इच्छा के बीच कैसे चुनूँ?",
        "मन को शांत रखने का सबसे सरल उपाय क्या है?",
    ),
    "es": (
        "¿Cómo puedo encontrar la calma cuando todo cambia?",
        "¿Qué significa actuar sin apego a los resultados?",
    ),
    "de": (
        "Wie finde ich Ruhe, wenn mich die Arbeit nicht loslässt?",
        "Woran erkenne ich, was meine Pflicht ist?",
    ),
}
"""Questions in languages other than English."""

BRIDGES: tuple[str, ...] = (
    "What you describe has been asked as long as people have asked anything: it is about {about}.",
    "The passage that I think of here is about {about}, and it was spoken to somebody as troubled as you.",
    "Do not take my word for it; try it for a week and judge by what it does to you.",
    "It is easy to say and slow to learn, and nobody learns it once and for all.",
    "Notice that the question already contains a hope, and begin with that.",
    "Others will advise you by what they fear; weigh their counsel, and then set it down.",
    "If you remember one thing of {about}, remember that it begins with the next small act.",
    "You need not be certain in order to begin; you need only be honest.",
)
"""Sentences that lead from the counsel to the passage and back; ``{about}`` is the topic's citation."""

CLOSINGS: tuple[str, ...] = (
    "Take one step today, and look again tomorrow.",
    "What would you do if you were not afraid of the answer?",
    "Go gently; you are further along than you think.",
    "Write down what you decide, and why.",
)
