"""What a reader of the report must know about how a run leaves the paper, in sentences."""

from jaxloop import filters
from jaxloop.loop import policy
from jaxloop.loop.experiment import Experiment
from jaxloop.spec import Spec


def of_run(experiment: Experiment, weights: dict) -> list[str]:
    """Return the sentences on data, networks and the loop."""
    spec, config, num_real = experiment.spec, experiment.spec.classifier, experiment.num_real
    notes = [
        f"Each generation {experiment.num_generated} images are generated and "
        f"{experiment.num_kept} "
        f"kept (mixing ratio {spec.loop.mix:g} of {num_real} real training images, rounded to "
        "whole "
        f"classes); the queue holds {experiment.capacity}.",
        *_loop_notes(spec, num_real),
    ]
    changed = ", ".join(sorted(set(experiment.trainers) - {"lenet"}))
    if config.width != 1.0 and changed:
        notes.append(
            f"{changed}: channels scaled by classifier.width = {config.width:g}; the original is 1."
        )
    if config.stem == "small" and changed:
        notes.append(
            f"{changed}: the variant for small images, not torchvision's own (classifier.stem)."
        )
    if config.image_size:
        side = config.image_size
        notes.append(f"Classifiers see the images resized to {side}x{side} (bilinear).")
    if config.augment != "none":
        mirrored = " and mirrored" if config.augment == "crop_flip" else ""
        notes.append(f"Training images, real and generated, are shifted at random{mirrored}.")
    for name, one in weights.items():
        notes.append(
            f"{name} starts from {one.source} (sha256 {one.sha256[:12]}...), all but its last "
            "layer."
        )
    return notes


def _loop_notes(spec: Spec, num_real: int) -> list[str]:
    """Return how the run leaves the paper's loop: fifo, all real images, no sampling bias."""
    loop = spec.loop
    notes = {
        "fifo": [],
        "replace": [
            "Only the youngest generation's images are trained on (loop.policy = replace)."
        ],
        "accumulate": [
            "All generated images stay in the training set (loop.policy = accumulate): a "
            "generation "
            "costs more than the last."
        ],
        policy.SUBSAMPLE: [
            f"Each generation trains on {num_real} images at most, drawn anew from all real and "
            "generated images (loop.policy = accumulate_subsample)."
        ],
    }[loop.policy]
    validated = "Early stopping looks at real validation images even so."
    if loop.real == "none":
        notes.append(
            "Real images are trained on in generation 0 and by the first generator only "
            f"(loop.real = none). {validated}"
        )
    elif loop.real == "fresh":
        share = policy.num_fresh(loop, num_real)
        cycle = num_real // share
        again = f" From generation {cycle} on they come again." if cycle <= loop.generations else ""
        notes.append(
            f"Each generation is given {share} of the {num_real} real training images, in turns "
            f"(loop.real = fresh).{again} {validated}"
        )
    if getattr(spec.generator, "truncation", 0):
        truncation = spec.generator.truncation  # type: ignore[attr-defined]
        notes.append(f"Sampling is biased: the latent vector is truncated at {truncation:g}.")
    return notes


def of_filter(experiment: Experiment) -> list[str]:
    """Return the sentences on what the filter needs, and how it ranks."""
    spec, chosen = experiment.spec.filter, experiment.filter
    if not chosen.drops:
        return ["Nothing is filtered."]
    if chosen.ranking == "class":
        notes = ["Filtering ranks within each class, so that no filter can delete a class."]
    else:
        notes = ["Filtering ranks over all classes, and may keep nothing of a class."]
    if chosen.needs(filters.CLASSIFIER, filters.DROPOUT):
        dropout = chosen.needs(filters.DROPOUT)
        passes = f", over {spec.passes} passes with dropout on" if dropout else ""
        name = experiment.filter_classifier
        notes.append(f"The filter's uncertainty is that of last generation's {name}{passes}.")
    if chosen.needs(filters.CLIP):
        notes.append(
            f"CLIP compares an image with the text “{spec.template}”, where {{}} is its class's "
            "name."
        )
    if len(chosen.experts) > 1:
        weighted = zip(chosen.experts, chosen.weights, strict=True)
        words = ", ".join(f"{name} {weight:g}" for name, weight in weighted)
        notes.append(f"The filter's score is the weighted mean of ranks: {words}.")
    if chosen.needs(filters.PEOPLE):
        notes.append(
            "The filter's score is the mean of people's votes: 1 for keep, −1 for drop, 0 without "
            "one."
        )
    return notes
