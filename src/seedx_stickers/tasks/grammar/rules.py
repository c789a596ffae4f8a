"""The rules of the grammar: how people greet, ask, point, order drawings and order changes.

What a maker fills in: {x} a noun phrase without article ("cat", "dog on the left"), {a} with its indefinite article,
{xs} its plural, {at} a place with its preposition, {is} is or are, {it} a whole description, {b} a colour.
"""

from __future__ import annotations

_PICTURE = ("picture", "image", "photo", "drawing", "scene", "pic")

COMMON = {
    "picture": _PICTURE,
    "in_picture": (
        "in the {picture}", "in this {picture}", "on this {picture}", "here", "in it", "in that {picture}",
        "in the {picture} above", "in what i sent you", "in my {picture}", "in this one",
    ),
    "maybe_in": ("", "", "", "{in_picture}"),
    "hello": ("hi", "hello", "hey", "good morning", "hi there", "hey you", "good evening", "ok", "okay", "so", "well", "dear model"),
    "please": ("please", "please", "kindly", "pls"),
    "could_you": (
        "can you", "could you", "would you", "can you please", "could you please", "would you please", "will you",
        "are you able to", "would you be so kind and",
    ),
    "i_want": ("i want", "i would like", "i'd like", "i need", "i wish for", "i'd love", "give me", "get me", "i am looking for"),
    "i_want_you_to": ("i want you to", "i would like you to", "i'd like you to", "i need you to", "please help me and", "let's", "try to", "it would be nice to"),
    "tell_me": (
        "tell me", "please tell me", "can you tell me", "could you tell me", "say", "do you know", "i want to know",
        "i'd like to know", "i wonder", "let me know", "explain to me", "please say",
    ),
    "tail": ("", "", "", "", "", ", please", "please", ", thanks", "thank you", ", will you", "if you can", "for me"),
    # An order ({do}) in all its forms; it begins with a verb.
    "order": (
        "{do}", "{do}", "{do} {tail}", "{please} {do}", "{could_you} {do}?", "{could_you} {do}?", "{i_want_you_to} {do}",
        "{hello}, {do}", "{hello}, {could_you} {do}?", "{hello}, {please} {do}", "now {do}", "just {do}", "your task: {do}",
        "{do} now", "go ahead and {do}",
    ),
    # A question that has its marks.
    "plain_question": ("{q}", "{q}", "{hello}, {q}", "{q} please", "{q} thanks", "quick question: {q}"),
    # A question ({q}) in all its forms; it ends without its mark.
    "question": (
        "{q}?", "{q}?", "{q}?", "{q}", "{q} {maybe_in}?", "{q} {maybe_in}?", "{q} {in_picture}?", "{in_picture}, {q}?",
        "{hello}, {q}?", "{hello}, {q} {maybe_in}?", "{q}, please?", "{q}? thanks", "question: {q}?", "quick question: {q}?",
        "look at this {picture}. {q}?", "one question: {q}?", "{please} answer: {q}?",
    ),
}  # fmt: skip

READING = {
    "ask_what_at": (
        "what is {at}", "what's {at}", "what do you see {at}", "what can you see {at}", "which thing is {at}", "what stands {at}",
        "what object is {at}", "what sits {at}", "what have we got {at}", "what can be seen {at}", "what is located {at}", "what is there {at}",
    ),
    "order_what_at": ("name the thing {at}", "name what is {at}", "{tell_me} what is {at}", "{tell_me} what you see {at}", "identify the object {at}", "describe what is {at}"),
    "ask_one": ("what is this", "what's this", "what do you see", "what is it", "what's that", "which thing is this", "what am i looking at", "what does it show", "what did i draw", "what can this be", "what is that thing"),
    "ask_worn": ("what does the {x} wear", "what is the {x} wearing", "what has the {x} put on", "what is on the {x}", "what does the {x} have on", "what is the {x} dressed in", "which thing does the {x} wear", "what's on the {x}'s head or face"),
    "ask_list": (
        "what is there", "what things are there", "which things do you see", "what can you see", "what do you see", "which objects are there", "what is shown",
        "what all is there", "what does it contain", "what have we got", "what's there to see", "which stickers do you see", "what else is there besides the background", "what is everything you see",
    ),
    "order_list": ("list all things", "name everything {in_picture}", "list what you see", "list everything", "name all objects", "make a list of what is {in_picture}", "enumerate the things", "write down everything you see", "name each thing {in_picture}", "list the contents"),
    "ask_how_many": (
        "how many {xs} are there", "how many {xs} do you see", "how many {xs} can you see", "how many {xs}", "what is the number of {xs}", "what number of {xs} is there",
        "how many {xs} does it show", "how many {xs} have we got", "how many {xs} can be seen", "how many {xs} can you find", "how many {xs} are shown",
    ),
    "order_how_many": ("count the {xs}", "count all {xs}", "{tell_me} how many {xs} there are", "{tell_me} how many {xs} you see", "{tell_me} the number of {xs}", "give me the number of {xs}", "count how many {xs} there are", "work out how many {xs} there are"),
    "colour_word": ("colour", "color"),
    "ask_colour": ("what {colour_word} {is} the {x}", "which {colour_word} {is} the {x}", "what is the {colour_word} of the {x}", "which {colour_word} does the {x} have", "in what {colour_word} is the {x}", "what's the {colour_word} of the {x}", "the {x} has what {colour_word}"),
    "order_colour": ("{tell_me} the {colour_word} of the {x}", "{tell_me} what {colour_word} the {x} {is}", "name the {colour_word} of the {x}", "say which {colour_word} the {x} has"),
    "background": ("background", "backdrop", "ground behind the things", "back", "surface behind it all", "wall behind"),
    "ask_background": ("what is the {background}", "what does the {background} show", "what's in the {background}", "what is behind everything", "where does it take place", "what kind of {background} is it", "which {background} does it have", "what is the setting"),
    "ask_background_colour": ("what {colour_word} is the {background}", "which {colour_word} is the {background}", "what is the {colour_word} of the {background}", "what {colour_word} does the {background} have", "what's the {colour_word} of the {background}", "in what {colour_word} is the {background}"),
    "ask_where": ("where {is} the {x}", "where do you see the {x}", "in which part {is} the {x}", "in what place {is} the {x}", "where can i find the {x}", "whereabouts {is} the {x}", "in which corner or side {is} the {x}", "where exactly {is} the {x}", "on which side {is} the {x}", "where does the {x} stand", "at what place {is} the {x}"),
    "order_where": ("{tell_me} where the {x} {is}", "{tell_me} the place of the {x}", "describe where the {x} {is}", "name the place of the {x}", "say where you see the {x}", "find out where the {x} {is}"),
    "ask_yes_no": (
        "{is} there {a}", "do you see {a}", "can you see {a}", "does it show {a}", "do you find {a}", "have we got {a}", "is it true that there {is} {a}", "does it contain {a}",
        "can you find {a}", "any {x}", "is {a} to be seen", "did you spot {a}", "can you spot {a}", "do you notice {a}",
    ),
    "ask_is_ground": ("is it {on}", "is this {on}", "are we {on}", "does it take place {on}", "is the scene {on}"),
    "ask_is_colour": ("is the {background} {b}", "does it have {ab} {background}", "is there {ab} {background}", "is it on {ab} {background}", "is its {background} {b}"),
    "left": ("left of", "to the left of", "on the left of", "on the left side of", "on the left-hand side of", "left from", "more to the left than"),
    "right": ("right of", "to the right of", "on the right of", "on the right side of", "on the right-hand side of", "right from", "more to the right than"),
    "above": ("above", "over", "higher than", "on top of", "higher up than", "up from"),
    "below": ("below", "under", "lower than", "beneath", "underneath", "further down than"),
    "ask_relation": ("{is} the {x} {side} the {y}", "{is} the {x} {side} the {y}", "is it true that the {x} {is} {side} the {y}", "does the {x} stand {side} the {y}", "do you see the {x} {side} the {y}", "can the {x} be found {side} the {y}"),
    "ask_which": ("what is {side} the {x}", "what do you see {side} the {x}", "which thing is {side} the {x}", "what's {side} the {x}", "what can be found {side} the {x}", "what stands {side} the {x}", "which object is {side} the {x}"),
    "order_which": ("name what is {side} the {x}", "{tell_me} what is {side} the {x}", "name the thing {side} the {x}", "{tell_me} which thing is {side} the {x}"),
    "order_caption": (
        "describe the {picture}", "describe this {picture}", "write a caption for this {picture}", "caption this {picture}", "{tell_me} about this {picture}", "say what is where {in_picture}", "give a short description of the {picture}",
        "describe what you see", "write down what the {picture} shows", "summarise the {picture}", "put the {picture} into words", "give me a caption", "describe the whole {picture} in a sentence", "explain the {picture}",
    ),
    "ask_caption": ("what does the {picture} show", "what is shown in this {picture}", "what is this {picture} about", "what happens in this {picture}", "what is going on in the {picture}"),
    "order_find": (
        "find the {x}", "show me the {x}", "point at the {x}", "point to the {x}", "give the box of the {x}", "locate the {x}", "draw a box around the {x}", "mark the {x}", "show me the box of the {x}", "put a frame around the {x}",
        "highlight the {x}", "find me the {x}", "outline the {x}", "detect the {x}", "box the {x}", "circle the {x}", "give me the bounding box of the {x}", "spot the {x}",
    ),
    "order_find_all": (
        "find all {xs}", "find the {xs}", "show me the boxes of all {xs}", "point at all {xs}", "point to every {x}", "give the boxes of all {xs}", "locate all {xs}", "mark every {x}", "find every {x}", "draw boxes around the {xs}", "mark all the {xs}",
        "detect all {xs}", "highlight each {x}", "show me all of the {xs}", "box every {x}",
    ),
    "ask_box": ("where {is} the {x}? give a box", "where {is} the {x}? point at it", "where {is} the {x}? mark it", "where {is} the {x}? show me with a box"),
}  # fmt: skip

DRAWING = {
    "draw_verb": ("draw", "paint", "sketch", "make", "create", "generate", "design", "produce", "illustrate", "draw me", "make me", "paint me"),
    "a_picture_of": ("a {picture} of", "an image of", "a drawing of", "a nice {picture} of", "a little {picture} of", "one {picture} of", "a new {picture} of", "a sticker {picture} of", "a {picture} with", "a {picture} showing", "some art of"),
    "draw_it": ("{draw_verb} {it}", "{draw_verb} {it}", "{draw_verb} {a_picture_of} {it}", "{draw_verb} {a_picture_of} {it}", "show me {it}", "show me {a_picture_of} {it}", "give me {a_picture_of} {it}", "show {it}", "let me see {it}", "come up with {a_picture_of} {it}"),
    "order_draw": (
        "{do}", "{do}", "{do} {tail}", "{please} {do}", "{could_you} {do}?", "{could_you} {do}?", "{i_want_you_to} {do}", "{hello}, {do}", "{hello}, {could_you} {do}?", "now {do}", "{do} now",
        "{it}", "{it}", "{i_want} {it}", "{i_want} {a_picture_of} {it}", "{a_picture_of} {it}", "a picture: {it}", "there should be {it}", "how about {it}?", "what would {it} look like?", "i imagine {it}", "{it} would be nice",
        "my daughter wants {it}", "make it {it}", "prompt: {it}", "next, {it}", "for my wall: {it}",
    ),
    "beside": ("beside", "next to", "and", "with", "together with", "near", "by", "along with", "alongside"),
    "wearing": ("with", "wearing", "that wears", "in", "who is wearing", "dressed in", "who has", "that has on"),
    "colour_ground": ("on {ab} background", "with {ab} background", "on {ab} backdrop", "against {ab} background", "in front of {ab} background", "with a background that is {b}", "on {b}", "over {ab} ground", "on {ab} wall"),
    "beach": ("on the beach", "at the beach", "on a beach", "by the sea", "at the seaside", "on the sand", "at the shore"),
    "meadow": ("in a meadow", "on a meadow", "in the meadow", "on the grass", "in a field", "on a lawn", "in the grass"),
    "night": ("at night", "in the night", "in the dark", "at nighttime", "under a night sky", "late at night", "in the middle of the night"),
    "snow": ("in the snow", "in snow", "on snow", "on a snowy day", "in a snowy place", "out in the snow", "on snowy ground"),
    "at_left": ("on the left", "on the left side", "on the left-hand side", "at the left", "to the left", "on the left edge", "left", "at the left border"),
    "at_right": ("on the right", "on the right side", "on the right-hand side", "at the right", "to the right", "on the right edge", "right", "at the right border"),
    "at_top": ("at the top", "on top", "up top", "in the upper part", "at the upper edge", "in the top middle", "above"),
    "at_bottom": ("at the bottom", "at the lower edge", "in the lower part", "down at the bottom", "in the bottom middle", "below"),
    "at_middle": ("in the middle", "in the center", "in the centre", "at the center", "right in the middle", "centered", "in the very middle"),
    "at_top_left": ("in the top left", "in the top left corner", "in the upper left", "at the top left", "in the upper left corner", "top left", "in the left upper corner"),
    "at_top_right": ("in the top right", "in the top right corner", "in the upper right", "at the top right", "in the upper right corner", "top right", "in the right upper corner"),
    "at_bottom_left": ("in the bottom left", "in the bottom left corner", "in the lower left", "at the bottom left", "in the lower left corner", "bottom left", "in the left lower corner"),
    "at_bottom_right": ("in the bottom right", "in the bottom right corner", "in the lower right", "at the bottom right", "in the lower right corner", "bottom right", "in the right lower corner"),
}  # fmt: skip

EDITING = {
    "add": ("add {a} {at}", "put {a} {at}", "draw {a} {at}", "place {a} {at}", "insert {a} {at}", "include {a} {at}", "set {a} {at}", "add another thing: {a} {at}", "make {a} appear {at}", "paste {a} {at}", "stick {a} {at}"),
    "want_add": ("i want {a} {at}", "there should be {a} {at}", "i'd like {a} {at}", "we need {a} {at}", "{a} {at} is missing", "how about {a} {at}?", "{a} {at} would be nice", "let there be {a} {at}"),
    "remove": ("remove the {x}", "take the {x} away", "delete the {x}", "erase the {x}", "get rid of the {x}", "make the picture without the {x}", "take out the {x}", "drop the {x}", "wipe out the {x}", "make the {x} disappear", "leave out the {x}", "cut the {x} out", "clear the {x} away", "throw out the {x}"),
    "want_remove": ("i don't want the {x}", "no {x} please", "the {x} should go", "i don't like the {x}, remove it", "without the {x}", "the {x} must go", "the same without the {x}"),
    "replace": ("replace the {x} with {a}", "turn the {x} into {a}", "change the {x} into {a}", "change the {x} to {a}", "swap the {x} for {a}", "make the {x} {a}", "put {a} in place of the {x}", "put {a} where the {x} is", "exchange the {x} for {a}", "use {a} instead of the {x}", "substitute {a} for the {x}", "swap the {x} with {a}", "transform the {x} into {a}", "have {a} instead of the {x}"),
    "want_replace": ("i want {a} instead of the {x}", "the {x} should be {a}", "instead of the {x}, i'd like {a}", "{a} instead of the {x}", "i'd rather have {a} than the {x}"),
    "move": ("move the {x} {to}", "put the {x} {at}", "shift the {x} {to}", "place the {x} {at}", "bring the {x} {to}", "drag the {x} {to}", "push the {x} {to}", "let the {x} go {to}", "relocate the {x} {to}", "send the {x} {to}", "carry the {x} over {to}", "set the {x} down {at}"),
    "want_move": ("the {x} should be {at}", "i want the {x} {at}", "i'd like the {x} {at}", "the {x} belongs {at}", "the {x} must go {to}", "could the {x} be {at}?"),
    "to_place": ("to the {place}", "to the {place} side", "over to the {place}", "into the {place}", "towards the {place}"),
    "to_corner": ("to the {place}", "to the {place} corner", "into the {place} corner", "over to the {place}", "into the {place}"),
    "to_middle": ("to the middle", "to the center", "to the centre", "into the middle", "into the centre of the picture"),
    "recolour": ("make the {background} {b}", "change the {background} to {b}", "give it {ab} {background}", "use {ab} {background}", "paint the {background} {b}", "put it on {ab} {background}", "turn the {background} {b}", "colour the {background} {b}", "color the {background} {b}", "set the {background} to {b}", "switch the {background} to {b}", "fill the {background} with {b}"),
    "want_recolour": ("i want {ab} {background}", "i'd like {ab} {background}", "the {background} should be {b}", "a {b} {background} would be nice", "can i have {ab} {background}?", "what about {ab} {background}?"),
    "resettle": ("change the {background} to {the}", "put it {on}", "move everything to {the}", "set it {on}", "make it happen {on}", "let it be {on}", "place the scene {on}", "show it {on}", "take it to {the}", "turn the {background} into {the}"),
    "want_resettle": ("i want it {on}", "it should be {on}", "i'd like it {on}", "the same {on}", "what if it was {on}?", "how about {on}?"),
    "wear": ("put {a} on the {x}", "give the {x} {a}", "give {a} to the {x}", "let the {x} wear {a}", "make the {x} wear {a}", "dress the {x} with {a}", "dress the {x} in {a}", "get the {x} {a}", "add {a} to the {x}", "equip the {x} with {a}", "let the {x} put {a} on"),
    "want_wear": ("the {x} should wear {a}", "the {x} needs {a}", "i want the {x} to wear {a}", "i'd like the {x} with {a}", "the {x} could use {a}"),
    "undress": ("take the {y} off the {x}", "remove the {y} of the {x}", "take off the {x}'s {y}", "remove the {y}", "take the {y} off", "let the {x} take the {y} off", "the {x} without the {y}", "take away the {y}", "get rid of the {y}"),
}  # fmt: skip

RULES: dict[str, tuple[str, ...]] = {**COMMON, **READING, **DRAWING, **EDITING}
