"""What a reader of the report must know about how a run leaves the paper, in sentences."""

from jaxloop import config, filters
from jaxloop.classifiers import pretrained
from jaxloop.loop import policy
from jaxloop.loop.experiment import Parts


def of_run(parts: Parts, weights: dict[str, pretrained.Weights]) -> list[str]:
    """What a reader of the report must know about how this run leaves the paper."""
    spec, kind = parts.spec, parts.spec.classifier
    notes = [
        f"Each generation {parts.made_per_class * parts.num_classes} images are generated and {parts.kept} kept "
        f"(mixing ratio {spec.loop.mix:g} of {len(parts.train.label)} real training images, rounded to whole classes); "
        f"the queue holds {parts.capacity}.",
        *_loop_notes(spec, len(parts.train.label)),
    ]
    if kind.width != 1.0 and set(parts.trainers) - {"lenet"}:
        names = ", ".join(sorted(set(parts.trainers) - {"lenet"}))
        notes.append(
            f"{names}: channels scaled by classifier.width = {kind.width:g}; the original is 1."
        )
    if kind.stem == "small" and (changed := sorted(set(parts.trainers) - {"lenet"})):
        notes.append(
            f"{', '.join(changed)}: the variant for small images, not torchvision's own (classifier.stem)."
        )
    if kind.image_size:
        notes.append(
            f"Classifiers see the images resized to {kind.image_size}x{kind.image_size} (bilinear)."
        )
    if kind.augment != "none":
        mirrored = " and mirrored" if kind.augment == "crop_flip" else ""
        notes.append(
            f"Training images, real and generated, are shifted at random{mirrored} for the classifiers."
        )
    for name, found in weights.items():
        notes.append(
            f"{name} starts from {found.source} (sha256 {found.sha256[:12]}...), all but its last layer."
        )
    return notes


def _loop_notes(spec: config.Spec, num_real: int) -> list[str]:
    """How the run leaves the paper's loop: fifo, all real images, no sampling bias."""
    loop, notes = spec.loop, []
    if loop.policy == "replace":
        notes.append(
            "Of the generated images only the youngest generation's are trained on (loop.policy = replace)."
        )
    elif loop.policy == "accumulate":
        notes.append(
            "All generated images stay in the training set (loop.policy = accumulate): a generation costs more than the last."
        )
    elif loop.policy == policy.SUBSAMPLE:
        notes.append(
            f"Each generation trains on {num_real} images at most, drawn anew from all that are in play, real and generated alike "
            "(loop.policy = accumulate_subsample)."
        )
    stopping = "Early stopping looks at real validation images even so."
    if loop.real == "none":
        notes.append(
            f"Real images are in play in generation 0 and for the first generator only (loop.real = none). {stopping}"
        )
    elif loop.real == "fresh":
        share = policy.num_fresh(loop, num_real)
        all_used = num_real // share
        again = (
            f" From generation {all_used} on they come round again."
            if all_used <= loop.generations
            else ""
        )
        notes.append(
            f"Each generation is given {share} of the {num_real} real training images, dealt out in turns (loop.real = fresh).{again} "
            f"{stopping}"
        )
    if spec.generator.truncation:
        notes.append(
            f"Sampling is biased: the latent vector is truncated at {spec.generator.truncation:g}."
        )
    return notes


def of_filter(parts: Parts) -> list[str]:
    """What the filter asks, and how it ranks."""
    spec, chosen = parts.spec.filter, parts.filter
    if not chosen.drops:
        return ["Nothing is filtered."]
    if chosen.ranking == "class":
        notes = ["Filtering ranks within each class, so that no filter can delete a class."]
    else:
        notes = [
            "Filtering ranks over all classes: what it keeps of a class, or whether any of it, is up to the scores."
        ]
    if chosen.asks(filters.CLASSIFIER, filters.DROPOUT):
        passes = (
            f", over {spec.passes} passes with dropout on" if chosen.asks(filters.DROPOUT) else ""
        )
        notes.append(
            f"The filter's uncertainty is that of last generation's {parts.judge}{passes}."
        )
    if chosen.asks(filters.CLIP):
        notes.append(
            f"CLIP compares an image with the text “{spec.template}”, where {{}} is the name of its class."
        )
    if len(chosen.experts) > 1:
        of = ", ".join(
            f"{name} {weight:g}"
            for name, weight in zip(chosen.experts, chosen.weights, strict=True)
        )
        notes.append(f"The filter's score is the weighted mean of ranks: {of}.")
    if chosen.asks(filters.PEOPLE):
        notes.append(
            "The filter's score is the mean of people's votes: 1 for keep, −1 for drop, 0 where nobody voted."
        )
    return notes
