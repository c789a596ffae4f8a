"""What people call the things of the stickers world, and things that it does not have."""

from __future__ import annotations

import random

from seedx_stickers.art import OBJECTS
from seedx_stickers.tasks.words import PLURALS, plural

# Other names in the singular; the name itself is the most frequent one.
SYNONYMS: dict[str, tuple[str, ...]] = {
    "dog": ("puppy", "doggy", "pup", "hound"),
    "cat": ("kitty", "kitten", "pussycat"),
    "mouse": ("little mouse",),
    "rabbit": ("bunny", "bunny rabbit", "hare"),
    "bear": ("brown bear", "grizzly"),
    "panda": ("panda bear",),
    "tiger": ("tiger cub",),
    "pig": ("piggy", "piglet", "hog"),
    "frog": ("toad", "froggy"),
    "monkey": ("chimp", "ape"),
    "fish": ("tropical fish",),
    "butterfly": ("moth",),
    "bee": ("honeybee", "bumblebee"),
    "turtle": ("tortoise",),
    "octopus": ("squid",),
    "duck": ("mallard",),
    "red car": ("red automobile", "red auto"),
    "blue car": ("blue automobile", "blue auto", "blue jeep"),
    "bicycle": ("bike", "cycle", "pushbike"),
    "rocket": ("spaceship", "space rocket", "spacecraft"),
    "sailboat": ("sailing boat", "boat", "yacht", "ship"),
    "cactus": ("cactus plant",),
    "rose": ("red rose",),
    "mushroom": ("toadstool",),
    "moon": ("crescent", "crescent moon", "half moon"),
    "orange": ("tangerine", "mandarin"),
    "strawberry": ("berry",),
    "watermelon": ("melon", "slice of watermelon"),
    "pizza": ("slice of pizza", "pizza slice"),
    "hamburger": ("burger", "cheeseburger"),
    "cake": ("birthday cake",),
    "ice cream": ("ice cream cone", "icecream", "soft ice"),
    "house": ("home", "cottage", "little house"),
    "umbrella": ("brolly", "parasol"),
    "gift": ("present", "wrapped gift", "parcel"),
    "football": ("soccer ball", "ball"),
    "guitar": ("electric guitar",),
    "clock": ("alarm clock", "alarm"),
    "camera": ("photo camera",),
    "cup": ("mug", "cup of tea", "cup of coffee", "teacup"),
    "hat": ("top hat", "cap"),
    "sunglasses": ("shades", "glasses", "dark glasses"),
    "car": ("automobile", "auto"),
    **{f"{c} heart": (f"{c} love heart",) for c in ("red", "blue", "green", "yellow")},
    **{f"{c} book": (f"{c} notebook",) for c in ("red", "blue", "green")},
}
MORE_PLURALS = {
    "kitty": "kitties", "kitten": "kittens", "puppy": "puppies", "doggy": "doggies", "bunny": "bunnies",
    "piggy": "piggies", "froggy": "froggies", "shades": "shades", "glasses": "glasses",
    "dark glasses": "dark glasses", "slice of watermelon": "slices of watermelon", "slice of pizza": "slices of pizza",
    "cup of tea": "cups of tea", "cup of coffee": "cups of coffee", "brolly": "brollies", "berry": "berries",
    "tropical fish": "tropical fish", "little mouse": "little mice", "half moon": "half moons", "squid": "squid",
    "bunny rabbit": "bunny rabbits", "wolf": "wolves", "sheep": "sheep", "deer": "deer", "person": "people",
    "knife": "knives", "leaf": "leaves", "goose": "geese", "bus": "buses", "dress": "dresses", "shelf": "shelves",
    "ostrich": "ostriches", "cherry": "cherries", "peach": "peaches", "brush": "brushes", "watch": "watches",
    "strawberry": "strawberries", "trousers": "trousers", "scissors": "scissors", "baby": "babies", "fairy": "fairies",
    "sandwich": "sandwiches", "torch": "torches", "pony": "ponies", "canary": "canaries", "lorry": "lorries",
    "box": "boxes", "glass": "glasses", "potato": "potatoes", "tomato": "tomatoes", "man": "men", "woman": "women",
    "child": "children", "bench": "benches", "ferry": "ferries", "daisy": "daisies", "lily": "lilies",
}  # fmt: skip

# Things that the world has not, by the group of which it names some instead. A tenth is never trained on (`unknown`).
UNKNOWN: dict[str, tuple[str, ...]] = {
    "animal": tuple(
        ["horse", "lion", "wolf", "sheep", "deer", "goat", "donkey", "zebra", "giraffe", "camel", "crocodile", "snake", "lizard", "hippo", "rhino", "kangaroo", "koala", "squirrel", "hedgehog", "beaver", "otter", "seal", "dolphin", "shark", "crab", "lobster", "spider", "ant", "ladybird", "worm", "eagle", "parrot", "swan", "goose", "chicken", "rooster", "turkey", "pigeon", "crow", "flamingo", "ostrich", "peacock", "bat", "hamster", "raccoon", "skunk", "llama", "gorilla", "pony", "canary", "dinosaur", "dragon", "unicorn", "jellyfish", "starfish", "seahorse"]
    ),
    "vehicle": tuple(
        ["train", "plane", "aeroplane", "airplane", "helicopter", "bus", "truck", "lorry", "tractor", "motorbike", "motorcycle", "scooter", "tram", "taxi", "ambulance", "submarine", "ferry", "canoe", "van", "skateboard", "sledge", "tank"]
    ),
    "food": tuple(
        ["pear", "grape", "lemon", "peach", "cherry", "mango", "coconut", "tomato", "potato", "onion", "cucumber", "bread", "cheese", "egg", "sandwich", "soup", "salad", "cookie", "chocolate", "sweet", "pancake", "noodle", "taco", "sushi", "donut", "doughnut", "croissant", "popcorn", "pie"]
    ),
    "plant": tuple(["tulip", "daisy", "lily", "palm", "leaf", "bush", "grass", "clover", "vine", "daffodil", "fern"]),
    "sky": tuple(["lightning", "comet", "planet", "tornado", "snowflake", "raindrop", "satellite", "galaxy"]),
    "thing": tuple(
        ["chair", "table", "lamp", "bed", "sofa", "door", "window", "bridge", "tower", "castle", "tent", "bottle", "glass", "knife", "fork", "spoon", "plate", "shoe", "shirt", "dress", "scarf", "glove", "bag", "box", "basket", "bell", "drum", "piano", "violin", "trumpet", "flute", "phone", "computer", "keyboard", "television", "radio", "robot", "hammer", "axe", "saw", "ladder", "pencil", "pen", "brush", "candle", "lantern", "torch", "crown", "ring", "necklace", "sword", "shield", "flag", "kite", "ladder", "bench", "fence", "statue", "windmill", "anchor", "magnet", "mirror", "pillow", "blanket", "bucket", "broom"]
    ),
    "person": tuple(
        ["man", "woman", "boy", "girl", "child", "baby", "king", "queen", "princess", "pirate", "knight", "witch", "wizard", "astronaut", "clown", "doctor", "fairy", "farmer", "teacher", "mermaid", "ghost"]
    ),
}  # fmt: skip
GROUP_OF = {name: group for group, names in UNKNOWN.items() for name in names}


def noun(rng: random.Random, name: str, share: float = 0.35) -> str:
    """What somebody calls a thing; a synonym with the probability `share`, if there is one."""
    others = SYNONYMS.get(name, ())
    return rng.choice(others) if others and rng.random() < share else name


def nouns(words: str) -> str:
    """The plural of anything that `noun` gives, and of unknown things."""
    return MORE_PLURALS.get(words) or plural(words)


def a_noun(words: str) -> str:
    """With its indefinite article: "an owl", "a unicorn", "shades"."""
    if PLURALS.get(words, MORE_PLURALS.get(words)) == words and words not in (
        "fish",
        "tropical fish",
        "sheep",
        "deer",
        "squid",
    ):
        return words
    return f"{'an' if words[0] in 'aeiou' and not words.startswith(('unic', 'one')) else 'a'} {words}"


def is_plural(words: str) -> bool:
    """Whether a name is a plural by itself: "sunglasses are"."""
    return a_noun(words) == words


GROUPS = {group: [name for name, thing in OBJECTS.items() if thing.group == group] for group in UNKNOWN}
