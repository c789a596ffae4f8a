"""What the model says where it can't do what is asked: absent and unknown things, too many, small talk, no drawings.

find the dog (there is none)        -> There is no dog.
draw a horse                        -> I can't draw a horse: I know animals such as dogs, cats and mice.
ten stars                           -> I can draw one to four things in a picture.
hello                               -> Hello! I read and draw little pictures of stickers: ...
a photograph, noise, a texture      -> I only know drawings of little things such as animals, food and cars.
"""

from __future__ import annotations

import zlib

from seedx.messages import Image, assistant, user
from seedx_stickers.art import OBJECTS
from seedx_stickers.layout import ARRANGEMENTS
from seedx_stickers.odd_pictures import OddPicture
from seedx_stickers.scenes import Scene
from seedx_stickers.tasks.example import Example, Expected
from seedx_stickers.tasks.grammar.expand import HELD_OUT, Wording, Wordings
from seedx_stickers.tasks.grammar.makes import ground_words
from seedx_stickers.tasks.grammar.nouns import GROUP_OF, GROUPS, UNKNOWN, a_noun, is_plural, noun, nouns
from seedx_stickers.tasks.grammar.places import at_words, to_words
from seedx_stickers.tasks.questions import absent
from seedx_stickers.tasks.words import NUMBERS, joined, plural

CAN = "I read and draw little pictures of stickers: ask me what is in one, or say what to draw."
TOO_MANY = f"I can draw one to {NUMBERS[max(ARRANGEMENTS)]} things in a picture."
ODD = "I only know drawings of little things such as animals, food and cars."
EMPTY = "I see nothing but the background."
NOT_UNDERSTOOD = f"I did not understand that. {CAN}"
OTHER_LANGUAGE = f"I only understand English. {CAN}"
NO_SUMS = f"I can't do sums. {CAN}"
MANY = ("ten", "five", "six", "seven", "eight", "nine", "twelve", "twenty", "fifty", "a hundred", "a thousand", "a dozen", "dozens of", "lots of", "many", "hundreds of", "5", "6", "7", "8", "9", "10", "12", "20", "100")  # fmt: skip
GROUP_NAMES = {"animal": "animals", "vehicle": "vehicles", "food": "food", "plant": "plants", "sky": "things in the sky", "thing": "things", "person": "animals"}  # fmt: skip

TALK: dict[str, tuple[str, tuple[str, ...]]] = {  # what is said, and the answer
    "hello": (f"Hello! {CAN}", ("hello", "hi", "hey", "good morning", "good evening", "hi there", "hello there", "hey you", "good day", "greetings", "howdy", "hi, how are you?", "how are you?", "what's up?", "hello model", "nice to meet you", "yo", "are you there?", "anybody home?")),
    "help": (CAN, ("help", "help me", "what can you do?", "who are you?", "what are you?", "how do you work?", "what do you know?", "how can i use you?", "what should i ask?", "what is this program?", "can you help me?", "what can i ask you?", "i don't know what to do", "what are your abilities?", "tell me about yourself", "are you an ai?", "what's your name?", "how does this work?", "instructions please", "what are you good at?", "show me what you can do")),
    "thanks": ("You are welcome! What shall I draw or read next?", ("thanks", "thank you", "thanks a lot", "thank you very much", "great", "well done", "nice", "wonderful", "good job", "that's lovely", "cool", "perfect", "i like it", "awesome", "very good", "beautiful", "cheers", "that is great, thank you")),
    "bye": ("Goodbye!", ("bye", "goodbye", "see you", "good night", "bye bye", "see you later", "that's all", "farewell", "have a nice day", "i am done", "quit", "exit")),
    "wide": (f"I don't know. {CAN}", ("what is the capital of france?", "who is the president?", "what time is it?", "what is the weather like?", "tell me a joke", "write a poem", "how old are you?", "when was the moon landing?", "what is love?", "who won the world cup?", "translate this text", "write some python code", "what's the news?", "where do you live?", "how far is the sun?", "why is the sky blue?", "recommend a film", "how do i cook rice?", "what is the meaning of life?", "do you like music?", "sing a song", "what day is today?", "how tall is mount everest?", "give me a recipe", "book a flight", "play some music", "what is your favourite food?", "who wrote hamlet?", "explain gravity", "are you happy?")),
}  # fmt: skip
LANGUAGES = (
    "bonjour", "dessine un chat", "que vois-tu sur cette image?", "combien de chiens y a-t-il?", "merci beaucoup", "où est le chat?", "guten tag", "zeichne einen hund", "was siehst du auf dem bild?", "wie viele sterne sind das?", "wo ist die katze?", "danke schön",
    "male mir ein haus", "hola", "dibuja un gato", "¿qué ves en la imagen?", "¿cuántos perros hay?", "muchas gracias", "¿dónde está el perro?", "ciao", "disegna un cane", "cosa vedi nell'immagine?", "quanti gatti ci sono?", "grazie mille", "olá", "desenha um gato",
    "o que você vê na imagem?", "obrigado", "hallo, teken een hond", "wat zie je op de foto?", "hej, rita en katt", "tegn en hund", "narysuj kota", "co widzisz na obrazku?", "rajzolj egy kutyát", "nakresli psa", "bir kedi çiz", "resimde ne var?", "piirrä kissa",
    "нарисуй кошку", "что на картинке?", "привет", "ζωγράφισε μια γάτα", "猫を描いて", "你好", "画一只猫", "ارسم قطة", "चित्र में क्या है", "gambar kucing", "vẽ một con mèo", "desenează o pisică", "zeichne drei sterne", "qu'est-ce que c'est?", "was ist das?",
)  # fmt: skip


def fresh(names: tuple[str, ...], wordings: Wordings) -> list[str]:
    """The names that may be used: a tenth, by a hash, is for evaluation alone."""
    away = [name for name in names if zlib.crc32(f"unknown|{name}".encode()) / 2**32 < HELD_OUT]
    if wordings == "held_out" and away:
        return away
    return [name for name in names if name not in away or wordings == "any"]


def absent_thing(w: Wording, scene: Scene, known: bool = True) -> tuple[str, Expected]:
    """A question, a box or an edit about a thing that the scene has not."""
    rng = w.rng
    words = noun(rng, absent(rng, scene)) if known else _unknown(w)
    verb = "are" if is_plural(words) else "is"
    answer = f"There {verb} no {words}."
    kind = rng.choice(("find", "find", "where", "remove", "move", "replace", "wear", "recolour"))
    place = rng.choice(("left", "right", "top", "bottom", "middle", "top left"))
    if kind == "find":
        prompt = w.say("order", do=w.part("order_find", x=words))
    elif kind == "where":
        prompt = w.say("question", q=w.part("ask_where", x=words, **{"is": verb}))
    elif kind == "remove":
        prompt = w.say("order", do=w.part("remove", x=words))
    elif kind == "move":
        prompt = w.say("order", do=w.part("move", x=words, at=at_words(w, place), to=to_words(w, place)))
    elif kind == "replace":
        prompt = w.say("order", do=w.part("replace", x=words, a=a_noun(noun(rng, rng.choice(list(OBJECTS))))))
    elif kind == "wear":
        prompt = w.say("order", do=w.part("wear", x=words, a=rng.choice(("a hat", "sunglasses"))))
    else:
        prompt = w.say("question", q=w.part("ask_colour", x=words, **{"is": verb}))
    return prompt, Expected(answer, "absent" if known else "unknown", source=scene)


def present_twin(w: Wording, scene: Scene) -> tuple[str, Expected] | None:
    """ "is there a horse?" about an unknown thing: no."""
    words = _unknown(w)
    question = w.part("ask_yes_no", a=a_noun(words), x=words, **{"is": "is"})
    return w.say("question", q=question), Expected("no", "yes_no", source=scene)


def _unknown(w: Wording, group: str = "") -> str:
    group = group or w.rng.choice(list(UNKNOWN))
    return w.rng.choice(fresh(UNKNOWN[group], w.wordings) or fresh(UNKNOWN["animal"], w.wordings))


def cannot_draw(words: str) -> str:
    """ "I can't draw a horse: I know animals such as dogs, cats and mice." """
    group = GROUP_OF[words]
    some = [plural(OBJECTS[name].kind) for name in GROUPS["animal" if group == "person" else group][:4]]
    names = joined(list(dict.fromkeys(some))[:3])
    return f"I can't draw {a_noun(words)}: I know {GROUP_NAMES[group]} such as {names}."


def draw_unknown(w: Wording) -> tuple[str, Expected]:
    """A drawing of something that the world has not, alone or beside something that it has."""
    rng, words = w.rng, _unknown(w)
    it = a_noun(words)
    if rng.random() < 0.25:
        other = a_noun(noun(rng, rng.choice(list(OBJECTS))))
        it = rng.choice((f"{it} and {other}", f"{other} and {it}", f"{other} {w.part('beside')} {it}"))
    if rng.random() < 0.3:
        it = f"{it} {ground_words(w, rng.choice(('blue', 'white', 'beach', 'night', 'green', 'snow', 'meadow')))}"
    return w.say("order_draw", do=w.part("draw_it", it=it), it=it), Expected(cannot_draw(words), "unknown")


def draw_many(w: Wording) -> tuple[str, Expected]:
    """More things than a picture has."""
    rng = w.rng
    if rng.random() < 0.6:
        it = f"{rng.choice(MANY)} {nouns(noun(rng, rng.choice(list(OBJECTS))))}"
    else:
        counts = rng.choice(((3, 2), (2, 3), (4, 1), (2, 2, 2), (1, 1, 1, 1, 1), (3, 3), (1, 4), (2, 2, 1)))
        names = rng.sample(list(OBJECTS), len(counts))
        parts = [
            a_noun(name) if n == 1 else f"{NUMBERS[n]} {plural(name)}" for n, name in zip(counts, names, strict=True)
        ]
        it = joined(parts)
    return w.say("order_draw", do=w.part("draw_it", it=it), it=it), Expected(TOO_MANY, "too_many")


def small_talk(w: Wording) -> tuple[str, Expected]:
    rng = w.rng
    kind = rng.choice((*TALK, "sums", "language", "gibberish"))
    if kind in TALK:
        answer, said = TALK[kind]
        return rng.choice(fresh(said, w.wordings)), Expected(answer, "talk")
    if kind == "language":
        return rng.choice(fresh(LANGUAGES, w.wordings)), Expected(OTHER_LANGUAGE, "talk")
    if kind == "sums":
        one, other, sign = (
            rng.randrange(100),
            rng.randrange(100),
            rng.choice(("+", "-", "*", "x", "/", " plus ", " times ", " minus ")),
        )
        forms = (
            "{s}",
            "{s}=",
            "what is {s}?",
            "how much is {s}?",
            "calculate {s}",
            "{s} = ?",
            "can you compute {s}?",
            "solve {s}",
        )
        return rng.choice(fresh(forms, w.wordings)).format(s=f"{one}{sign}{other}"), Expected(NO_SUMS, "talk")
    letters = "".join(rng.choices("asdfghjklqwertyuiopzxcvbnm", k=rng.randint(3, 12)))
    return rng.choice((letters, f"{letters} {letters[::-1]}", rng.choice("?!.") * rng.randint(1, 3))), Expected(
        NOT_UNDERSTOOD, "talk"
    )


def odd(w: Wording, test: bool = False) -> Example:
    """Anything about a picture that is no drawing of stickers."""
    rng = w.rng
    picture = OddPicture.sample(rng, test)
    roll = rng.random()
    if roll < 0.3:
        prompt = w.say("question", q=w.part(rng.choice(("ask_list", "ask_one", "ask_caption"))))
    elif roll < 0.5:
        prompt = w.say("order", do=w.part(rng.choice(("order_list", "order_caption"))))
    elif roll < 0.75:
        words = noun(rng, rng.choice(list(OBJECTS)))
        prompt = w.say("order", do=w.part("order_find", x=words))
    else:
        words = noun(rng, rng.choice(list(OBJECTS)))
        prompt = w.say(
            "question", q=w.part(rng.choice(("ask_how_many", "ask_where")), x=words, xs=nouns(words), **{"is": "is"})
        )
    expected = Expected(EMPTY if picture.kind == "empty" else ODD, "odd", source=picture)
    return Example("odd", [user(Image(picture), prompt), assistant(expected.text)], [expected])


def spoken(prompt: str, expected: Expected, kind: str) -> Example:
    """An answer in words to a prompt without a picture, or about the expected source."""
    parts = (Image(expected.source), prompt) if expected.source else (prompt,)
    return Example(kind, [user(*parts), assistant(expected.text)], [expected])
