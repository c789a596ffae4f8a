"""The world of stickers: a small embedded domain in which all abilities of SEED-X are trained, shown and measured.

Scenes are rendered from OpenMoji drawings, so that there are any number of exact examples without a download. The
package builds on `seedx`, which finds it by entry points (see `seedx.plugins`) and works without it.

    art.py, signs.py, scenes.py, layout.py    the drawings, printed signs, scenes, and scenes from descriptions
    tasks/             examples of every task, as messages: read, point, draw, edit, tell stories, make slides
    judge.py           a small detector that tells what a drawing shows; judge_training.py and corruptions.py train it
    scoring.py         the scores of one answer
    evaluation/        the abilities of `seedx eval stickers`, beside chance and simple baselines
    claims/            claims of the paper, tested in miniature
    training/          the tiny model's training data and its own stages, and the bundling of its weights
    demo.py, demo_page.py    `seedx demo` and its page
    bundled.py         the folder of the bundled model "tiny"; verbs.py: the verbs that this package adds
    assets/            the weights of the tiny model and of the judge, the templates of the pages
"""
