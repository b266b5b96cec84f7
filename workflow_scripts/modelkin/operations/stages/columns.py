"""What the columns of each table hold: (unit, meaning); the unit is empty for names, "1" for numbers."""

from __future__ import annotations

from modelkin.networks.component_names import COMPONENTS

KIND = (
    "",
    "kind of probe: natural, inverted or adversarial; of another dataset with its label after a colon",
)
MEASURE = ("", "label of the measure: its name and its settings; see the table measures")
PROBE = {"kind": KIND, "measure": MEASURE}
PAIR = {"model_a": ("", "first model of the pair"), "model_b": ("", "second model of the pair")}
LEVEL = (
    "robustness level: radius of adversarial training, 0 for a standard model; of gabor, jpeg and snow "
    "in their own units"
)
PIXELS = "pixels in [0, 1]"
OVER_PAIRS = {
    "mean": ("measure", "mean over pairs of different models"),
    "sd": ("measure", "standard deviation over these pairs; missing for one"),
    "pairs": ("1", "number of pairs; on inverted probes each direction is one"),
    "stderr": ("measure", "root mean square of the pairs' standard errors over samples"),
    "chance": ("measure", "mean of the pairs' values for permuted samples"),
    "n": ("1", "samples of a pair"),
}
ATTACK_SUCCESS = (
    "share of images",
    "on adversarial probes, images that fool the model they were made for, the lower of the two models'",
)
LOWEST_ATTACK = (ATTACK_SUCCESS[0], f"lowest of all pairs': {ATTACK_SUCCESS[1]}")
INVERSION_SUCCESS = (
    "share of images",
    "on inverted probes, images whose relative loss is at most the config's failed_above",
)
LOWEST_INVERSION = (INVERSION_SUCCESS[0], f"lowest of the pairs' sources: {INVERSION_SUCCESS[1]}")
BY_PROBE = {**PROBE, "attack_success": LOWEST_ATTACK, "inversion_success": LOWEST_INVERSION}
INVERTED_WELL = {
    "mean_inverted": ("measure", "mean without sources whose inversion failed; missing if all did"),
    "sd_inverted": ("measure", "standard deviation over these pairs"),
    "pairs_inverted": ("1", "number of these pairs"),
    "inversion_success": LOWEST_INVERSION,
}
INVERSION = {
    "median_loss": (
        "1",
        "median relative loss: distance of the image's representation from its target's, as a share of the "
        "target's norm; 0 is a perfect inversion",
    ),
    "loss_90": ("1", "90th percentile of the relative loss"),
    "median_steps": ("steps", "median number of steps of the descent"),
    "median_distance": (PIXELS, "median L2 distance of the inverted image from its seed"),
    "failed": ("", "whether the median loss is above the config's failed_above"),
}
RESCUE = {
    "rescued": (
        "share of images",
        "images that failed at first and have a loss of at most failed_above by a second try",
    ),
    "median_first_loss": ("1", "median relative loss before any image was tried again"),
}
SUCCESS = {"inversion_success": ("share of images", "images with a loss of at most failed_above")}
ENSEMBLE = {
    "error": ("share of images", "error of the ensemble, which averages its members' logits"),
    "mean_member_error": ("share of images", "mean error of its members"),
    "error_reduction_rate": ("1", "(mean_member_error - error) / mean_member_error"),
    "all_wrong": ("share of images", "images that every member gets wrong"),
}
CORRELATION = {
    **BY_PROBE,
    "pearson": ("1", "Pearson correlation over pairs of models"),
    "pearson_p": ("1", "share of permutations of the models with one as far from 0 (Mantel test)"),
    "spearman": ("1", "Spearman correlation"),
    "spearman_p": ("1", "its p-value, as that of pearson"),
    "n": ("1", "number of pairs"),
    "pearson_inverted": ("1", "Pearson correlation without models whose inversion failed"),
    "n_inverted": ("1", "number of these pairs"),
    **{
        f"{name}_{end}": ("1", f"{where} end of its 95 % interval, models being resampled")
        for name in ("pearson", "spearman")
        for end, where in (("low", "lower"), ("high", "upper"))
    },
}
ATTACKED_ALIKE = ", under the PGD attack of the config's evaluation, of the model as it was then"
RELATION = (
    "",
    "what two models differ in: initialisation, hyper-parameters, training regime or architecture",
)
NORM = "norm of that radius, as in the config; empty for standard models, whose level is of no norm"
# Columns of a study whose models withstand changes of several norms, each after the radius that it is of.
NORMS: dict[str, dict[str, tuple[str, str]]] = {
    "summary": {"norm": ("", NORM)},
    "asymmetry": {"source_norm": ("", NORM), "observer_norm": ("", NORM)},
}
# Columns of a study whose failed inversions are tried again, the last ones of their tables.
RESCUED: dict[str, dict[str, tuple[str, str]]] = {
    "inversions": RESCUE,
    "models": {f"inversion_{name}": meaning for name, meaning in RESCUE.items()},
}
COLUMNS: dict[str, dict[str, tuple[str, str]]] = {
    "similarity": {
        "kind": KIND,
        "source": ("", "what the images were made with: a model (inverted), a dataset (else)"),
        "model_a": ("", "first model; on inverted probes the source of the images"),
        "model_b": ("", "second model; on inverted probes the observer"),
        "measure": MEASURE,
        "value": (
            "measure",
            "value of the measure for this pair; nothing in common is seldom 0, see chance, and the column "
            "unrelated of the table measures",
        ),
        "stderr": ("measure", "standard error of the value over samples"),
        "ci_low": ("measure", "lower end of the 95 % interval"),
        "ci_high": ("measure", "upper end of the 95 % interval"),
        "chance": (
            "measure",
            "value when b's samples are permuted, that of nothing in common; missing where that says nothing",
        ),
        "n": ("1", "samples that the value rests on; 0 where the measure is undefined for the pair"),
        "attack_success": ATTACK_SUCCESS,
        "inversion_success": (
            INVERSION_SUCCESS[0],
            f"of the source of the images: {INVERSION_SUCCESS[1]}",
        ),
        "inversion_failed": ("", "whether the inversion of the source failed, see the table inversions"),
    },
    "models": {
        "name": ("", "model, as in the config"),
        "eps": (PIXELS, LEVEL),
        "norm": ("", "threat that the radius is of: l2, linf, gabor, jpeg or snow"),
        "architecture": ("", "architecture"),
        "structure": ("", "architecture with what changes its shape"),
        "regime": ("", "what it was trained for and on"),
        "hyper_parameters": ("", "what else its training had of its own"),
        "source": ("", "source of the model, as in the config"),
        "origin": ("", "where its weights are from"),
        "weights": ("", "sha256 of the weights' names, shapes and values"),
        "parameters": ("1", "number of parameters"),
        "multiply_adds": ("1", "multiplications and additions for one image"),
        "size": ("pixels", "side of the images that it takes"),
        "interpolation": ("", "how images were scaled in its training, where its source says"),
        "crop": ("share of the side", "what was cut out of images in its training, where its source says"),
        "head": ("", "layer whose input is the representation"),
        "width": ("1", "width of the representation"),
        "mean": (PIXELS, "its normalisation: mean per channel, separated by commas"),
        "std": (PIXELS, "its normalisation: deviation per channel, separated by commas"),
        "split_points": ("1", "places at which the network can be cut in two"),
        "clean_accuracy": ("share of images", "accuracy on the test split"),
        "adversarial_accuracy": ("share of images", "accuracy under the PGD attack of the config"),
        "autoattack_accuracy": ("share of images", "accuracy under AutoAttack; missing if not asked for"),
        "at_chance": ("", "whether its accuracy is no better than always naming the commonest class"),
        "evaluated": ("1", "test images that were attacked"),
        **{f"inversion_{name}": meaning for name, meaning in INVERSION.items()},
        **SUCCESS,
        "attack_success": ("share of images", "images it got right that fool it in its adversarial probe"),
        "attack_median_distance": (
            PIXELS,
            "median size of the change under the attack's threat; of gabor and jpeg in its own units",
        ),
        "same_weights_as": ("", "first earlier model of the very same weights"),
    },
    "components": {
        "model": ("", "model; columns that are not named here are of the config's own table"),
        **{name: ("", meaning) for name, meaning in COMPONENTS.items()},
    },
    "inversions": {
        "kind": KIND,
        "model": ("", "model that was inverted"),
        **INVERSION,
        **SUCCESS,
    },
    "training": {
        "model": ("", "model that was trained"),
        "epoch": ("1", "epoch"),
        "loss": ("nats", "mean training loss"),
        "train_accuracy": (
            "share of images",
            "accuracy on the images trained on, attacked ones if adversarial",
        ),
        "test_accuracy": ("share of images", "accuracy on the test split"),
    },
    "training_epochs": {
        "model": ("", "model whose weights were kept along its training"),
        "epoch": ("1", "epochs of training behind it; 0 is the untrained model"),
        **{
            f"{split}_{name}": (unit, f"{what} on images of the {split} split{how}")
            for split in ("train", "test")
            for name, unit, what, how in (
                ("loss", "nats", "mean cross-entropy", ""),
                ("accuracy", "share of images", "accuracy", ""),
                ("adversarial_loss", "nats", "mean cross-entropy", ATTACKED_ALIKE),
                ("adversarial_accuracy", "share of images", "accuracy", ATTACKED_ALIKE),
            )
        },
        "train_images": ("1", "images of the train split that these are over, at equal distances"),
        "test_images": ("1", "images of the test split that these are over, at equal distances"),
    },
    "summary": {
        **PROBE,
        "eps": (PIXELS, f"{LEVEL}, of both models"),
        **OVER_PAIRS,
        **INVERTED_WELL,
        "attack_success": (ATTACK_SUCCESS[0], f"lowest of the pairs' of this level: {ATTACK_SUCCESS[1]}"),
    },
    "asymmetry": {
        "measure": MEASURE,
        "source_eps": (PIXELS, "robustness level of the model that the images were made with"),
        "observer_eps": (PIXELS, "robustness level of the other model"),
        **OVER_PAIRS,
        **INVERTED_WELL,
    },
    "relations": {
        **BY_PROBE,
        "relation": RELATION,
        "structure": ("", "of both models; all for pairs of all structures"),
        "mean": ("measure", "mean over pairs of different models"),
        "sd": ("measure", "standard deviation over these pairs; missing for one"),
        "pairs": ("1", "number of pairs"),
        "mean_inverted": (
            "measure",
            "mean without pairs of a model whose inversion failed; missing if all are",
        ),
        "pairs_inverted": ("1", "number of these pairs"),
        "null_mean": (
            "measure",
            "mean that permuted models have in place of it; missing where all pairs are of the row",
        ),
        "null_low": ("measure", "from where on 95 % of the means of permuted models are"),
        "null_high": ("measure", "up to where they are"),
        "p": ("1", "two-sided share of permutations of the models whose mean is as far from null_mean"),
    },
    "conclusions": {
        "conclusion": (
            "",
            "robust models are more alike: mean over pairs of a level less that over standard models; robust "
            "features are seen: images inverted for robust models, seen by standard ones, less the reverse; "
            "inverted images show less: natural less inverted, in the mean over a level's pairs; "
            "architectures are more alike: pairs of one less pairs of two, among pairs of the same two "
            "levels; closest pair: the pair that most measures have first, less each measure's best other "
            "pair",
        ),
        "kind": KIND,
        "about": ("", "level or pair that it is about"),
        "measure": MEASURE,
        "effect": ("measure", "the difference, turned for distances: above 0 where the conclusion holds"),
        "low": (
            "measure",
            "lower end of its 95 % interval, models being resampled, missing for fewer than five; of a "
            "closest pair over images, for all differences of pairs at once (Tukey and Kramer), as the "
            "values choose the pair",
        ),
        "high": ("measure", "upper end of it"),
        "p": (
            "1",
            "two-sided share of permutations of the models with an effect as far from 0; missing where "
            "nothing is permuted, or so few models have no p of .05",
        ),
        "models": ("1", "models that it rests on"),
        "pairs": ("1", "pairs that it rests on"),
        "holds": (
            "",
            "yes or opposite if p is at most .05 (without a p, if the interval excludes 0), else undecided; "
            "too few models if neither is known",
        ),
        "under": (
            "",
            "what the measures say together: holds under every, some or no measure, or they contradict each "
            "other; of many measures some hold by chance",
        ),
        "holding": ("1", "measures under which it holds"),
        "opposite": ("1", "measures under which the opposite holds"),
        "decided": ("1", "measures that have enough models to say"),
    },
    "clusters": {
        **BY_PROBE,
        "model": ("", "model; a copy of another has that one's cluster and place, and is in no matrix"),
        "cluster": ("", "number of its cluster; numbers have no order"),
        "x": ("1", "its place in the second eigenvector of the Laplacian"),
        "y": ("1", "its place in the third"),
        "t_sne_x": ("1", "its place by t-SNE"),
        "t_sne_y": ("1", "its place by t-SNE"),
    },
    "cluster_stability": {
        **BY_PROBE,
        "clusters": ("1", "number of clusters, of models that are no copies of others"),
        "ari_models_mean": ("1", "adjusted Rand index with the clusters of resampled models, mean"),
        "ari_models_sd": ("1", "its standard deviation"),
        "ari_null_mean": ("1", "the same for matrices with shuffled pairs, mean"),
        "ari_null_sd": ("1", "its standard deviation"),
        "ari_models_p": ("1", "share of shuffled matrices that are as stable, this one among them"),
        "clusters_supported": ("1", "clusters, or 1 where ari_models_p is above .05 or missing"),
        "ari_samples_mean": ("1", "adjusted Rand index with clusters under the measure's noise, mean"),
        "ari_samples_sd": ("1", "its standard deviation"),
        "ari_architecture": ("1", "adjusted Rand index with the architectures"),
        "ari_level": ("1", "adjusted Rand index with the robustness levels"),
        "ari_other_laplacian": ("1", "adjusted Rand index with the clusters by the other Laplacian"),
    },
    "spectra": {
        **BY_PROBE,
        "rank": ("1", "rank of the eigenvalue, from 1"),
        "eigenvalue": ("1", "eigenvalue of the Laplacian"),
    },
    "spectral_features": {
        **BY_PROBE,
        "model": ("", "model"),
        "rank": ("1", "rank of the eigenvector, from 1"),
        "value": ("1", "what clusters are told apart by: the model's entry, scaled as the Laplacian asks"),
    },
    "component_importance": {
        **BY_PROBE,
        "component": ("", "component of an architecture"),
        "importance": ("R2", "by how much the fit falls when the differences in it are permuted"),
        "importance_sd": ("R2", "its standard deviation over permutations"),
        "importance_null": (
            "R2",
            "mean importance when models are permuted; missing where r2_new_models is not above 0",
        ),
        "importance_p": ("1", "share of permutations of the models with an importance as high"),
        "varies": ("", "whether any two models differ in it"),
    },
    "component_scores": {
        **BY_PROBE,
        "r2_fitted": (
            "1",
            "share of the variance of similarity that gradient boosting on components explains",
        ),
        "r2_new_models": ("1", "the same for pairs with a model that it did not see; missing for few models"),
        "pairs": ("1", "pairs of models, without copies of others"),
        "models": ("1", "models, without copies of others"),
    },
    "component_keywords": {
        **BY_PROBE,
        "cluster": ("", "number of the cluster"),
        "rank": ("1", "rank of the keyword in the cluster, from 1"),
        "keyword": ("", "component and what it is"),
        "weight": ("1", "mean TF-IDF over the cluster's models without copies of others"),
    },
    "ensemble_pairs": {
        **PAIR,
        "error_a": ("share of images", "error of model_a alone"),
        "error_b": ("share of images", "error of model_b alone"),
        **ENSEMBLE,
    },
    "ensemble_correlations": CORRELATION,
    "ensemble_clusters": {
        "members": ("1", "models in the ensemble"),
        "clusters": ("1", "clusters that they come from"),
        "draw": ("", "number of the random draw"),
        "models": ("", "its models, separated by commas; none is a copy of another"),
        **ENSEMBLE,
    },
    "ensemble_choices": {
        **BY_PROBE,
        "members": ("1", "models in the ensemble"),
        "models": ("", "the least similar models, separated by commas; none is a copy of another"),
        "error": ENSEMBLE["error"],
        "error_reduction_rate": ENSEMBLE["error_reduction_rate"],
        "random_error_mean": ("share of images", "error of random ensembles, mean"),
        "random_error_sd": ("share of images", "its standard deviation"),
        "random_err_mean": ("1", "error reduction rate of random ensembles, mean"),
        "random_err_sd": ("1", "its standard deviation"),
        "better_than_random": ("share of draws", "random ensembles that err more often"),
        "left_out": ("", "models for which the measure is undefined, in no set of this row"),
    },
    "ensemble_relations": {
        "relation": RELATION,
        "members": ("1", "models in the ensemble"),
        "draw": ("", "number of the random draw"),
        "models": ("", "its models, separated by commas"),
        **ENSEMBLE,
    },
    "ensemble_best": {
        "members": ("1", "models in the ensemble"),
        "models": (
            "",
            "the ensemble with the lowest error, its models separated by commas; none is a copy of another",
        ),
        "error": ("share of images", "its error"),
        "single": ("", "the model with the lowest error alone"),
        "single_error": ("share of images", "its error"),
        "gain": (
            "share of images",
            "fall of the error when both are chosen on half of the images, on the others",
        ),
        "gain_low": ("share of images", "lower end of the gains of 95 % of the splits"),
        "gain_high": ("share of images", "upper end of them"),
        "gain_null": (
            "share of images",
            "the same for sets of permuted models in place of those chosen, mean: what any set would gain",
        ),
        "gain_p": ("1", "share of permutations of the models that gain as much"),
        "chosen_again": ("share of splits", "splits that choose the same ensemble"),
        "n": ("1", "images"),
    },
    "distillation": {
        "model_a": ("", "teacher"),
        "model_b": ("", "the study's own model of the student's kind"),
        "student_accuracy": ("share of images", "accuracy of the students, mean over repeats"),
        "student_accuracy_sd": ("share of images", "its standard deviation; missing for one repeat"),
        "teacher_agreement": ("share of images", "images to which student and teacher give the same class"),
        "repeats": ("1", "students of this teacher"),
        "teacher_accuracy": ("share of images", "accuracy of the teacher"),
        "same_family": ("", "whether teacher and student are of one base family"),
    },
    "distillation_correlations": {
        **CORRELATION,
        "teachers": ("", "all, those of the student's base family, or the others"),
        "partial": ("1", "Pearson correlation given the teacher's accuracy"),
        "partial_p": ("1", "its two-sided p-value"),
        "accuracy_pearson": ("1", "Pearson correlation of the student's accuracy with the teacher's"),
        "accuracy_pearson_p": ("1", "its two-sided p-value"),
    },
    "recommendations": {
        "use": ("", "what for: an ensemble of so many, or a teacher"),
        "recommended": ("", "whether choosing so gains on all parts: gain_low is above 0"),
        "models": ("", "the best models for it, separated by commas"),
        "against": (
            "",
            "the best model alone (for gain, chosen on each part), or the mean of all teachers",
        ),
        "gain": (
            "share of images",
            "accuracy that choosing on one part brings on the other; missing if there is none",
        ),
        "gain_low": ("share of images", "lower end of its range over the parts"),
        "gain_high": ("share of images", "upper end of it"),
        "gain_null": (
            "share of images",
            "what the choice gains of permuted models, or teachers, in the mean",
        ),
        "gain_p": ("1", "share of permutations that gain as much"),
        "chosen_again": ("share of parts", "parts on which the same models are chosen"),
        "n": ("1", "images, or repeats of the student"),
        "basis": ("", "what the parts are of"),
    },
    "sat_shortcut": {
        "model_a": ("", "model taken for a new one, whose own adversarial images are used"),
        "model_b": ("", "model that it is compared with"),
        "shortcut": ("ln %", "similarity by attack transferability from these images alone"),
        "full": ("ln %", "the same from both models' images, as in the table similarity"),
        "n": ("1", "images that both get right"),
        "error": ("ln %", "shortcut - full"),
    },
    "sat_shortcut_models": {
        "model": ("", "model taken for a new one"),
        "spearman": ("1", "rank correlation of shortcut and full over the others; missing for under three"),
        "mean_absolute_error": ("ln %", "mean of the errors' absolute values"),
        "pairs": ("1", "models that it is compared with and has images right in common with"),
        "attack_success": ("share of images", "images it got right that fool it in its adversarial probe"),
    },
    "draws": {
        **PROBE,
        "attack_success": LOWEST_ATTACK,
        "variance": ("measure squared", "variance over draws of other images, mean over pairs of models"),
        "pair_variance": ("measure squared", "variance over pairs of models, of their means over draws"),
        "ratio": ("1", "variance / pair_variance: small if other images tell the same models apart"),
        "spearman": ("1", "rank correlation of the pairs between two draws, mean over draws"),
        "samples": ("1", "samples of a draw that values rest on, mean over pairs and draws"),
        "draws": ("1", "number of draws, which share no samples"),
        "pairs": ("1", "pairs of different models that have a value in every draw"),
    },
    "measures": {
        "measure": ("", "label of the measure, as in the other tables"),
        "title": ("", "its name in words"),
        "definition": ("", "what the number is"),
        "direction": ("", "similarity (large is alike) or distance (small is alike)"),
        "symmetric": (
            "",
            "whether two models have the same value in either order on one probe",
        ),
        "unit": ("", "unit of its values, their standard errors and chance levels"),
        "low": ("measure", "lowest possible value; for most measures not that of nothing in common"),
        "high": ("measure", "highest possible value; infinite if there is none"),
        "unrelated": (
            "",
            "value for models with nothing in common, of n samples and p independent features; the "
            "column chance of similarity has it for each pair",
        ),
        "needs": (
            "",
            "what it compares: representation, logits, saliency, outcomes of attacks, regions or distances",
        ),
        "kinds": ("", "how the images may be made that it is measured on, separated by commas"),
        "chance": ("", "whether it has a chance level"),
        "source": ("", "where it is defined"),
    },
    "dictionary": {
        "table": ("", "name of the table"),
        "column": ("", "name of the column"),
        "unit": ("", "its unit; 1 for plain numbers, measure for that of the row's measure, empty for names"),
        "meaning": ("", "what it holds"),
    },
}
LAYER_MAP = {
    "kind_a": ("", "kind of images that model_a sees: that of the row, or natural"),
    "kind": ("", "kind of images that model_b sees"),
    "source": ("", "what these images were made with: a model (adversarial), a dataset (natural)"),
    "measure": (
        "",
        "layer_cka: minibatch or exact debiased CKA of all outputs; pooled_layer_cka: of means over "
        "positions; layer_procrustes: Procrustes similarity of all outputs, the mean over batches",
    ),
    "model_a": ("", "first model; the same as model_b within one"),
    "model_b": ("", "second model"),
}
THIRDS = {"first": "first third of its depth", "middle": "middle third", "last": "last third"}
CKA_STDERR = "its jackknife standard error, over the batches of a pass or over images"
COLUMNS |= {
    "layers": {
        "model": ("", "model whose layers are compared"),
        "layer": ("", "the layer's name: its module, and what is called there; :2 for the second of a name"),
        "index": ("1", "its place in the forward pass, from 0"),
        "operation": ("", "its kind: convolution, norm, activation, pooling, linear, attention or addition"),
        "depth": ("1", "its place from 0, the first layer, to 1, the last"),
        "stage": ("1", "how often positions had become fewer before it"),
        "cut_point": ("", "whether everything passes through it"),
        "block_end": ("", "whether a block ends there"),
        "shape": ("1", "of its output for one image"),
    },
    "layer_maps": {
        **LAYER_MAP,
        "snapshot": (
            "epochs",
            "epoch of model_a's weights, model_b's being the last; missing for trained models",
        ),
        "layer_a": ("", "layer of model_a"),
        "layer_b": ("", "layer of model_b"),
        "value": (
            "1",
            "linear CKA by the unbiased estimator; 1 is the same up to rotation and scale, similarity",
        ),
        "stderr": ("1", CKA_STDERR),
        "chance": ("1", "value when model_b's images are permuted"),
        "untrained": ("1", "value of the same networks with random weights; missing without that baseline"),
        "n": ("1", "images"),
        "undefined": ("", "why there is no value; empty where there is one"),
    },
    "layer_summary": {
        **LAYER_MAP,
        "statistic": (
            "",
            "off_diagonal: mean of cells that are not of the same layer; quarter_apart, half_apart: mean "
            "of cells at least so much of the depth apart; above_0.8: share of off-diagonal cells above "
            ".8; decay_length: integral of mean CKA over distance in depth, by that at no distance; "
            "block_structure: how much brighter a stretch of layers is than it is against the others, for "
            "the one that stands out most; same_layer, and of it first, middle and last thirds: mean of "
            "cells of the same (or nearest) depth; last_layer: of the last layers; best_match_is_same: "
            "share of layers of model_a whose most alike layer is the same; best_match_apart: how far off "
            "in depth the most alike layer is, in the mean",
        ),
        "value": ("1", "value of the statistic"),
        "stderr": ("1", CKA_STDERR),
        "ci_low": ("1", "lower end of the 95 % interval (Student's)"),
        "ci_high": ("1", "upper end of it"),
        "untrained": ("1", "value of the same networks with random weights; missing without that baseline"),
        "n": ("1", "images"),
    },
    "layer_adversarial": {
        "model": ("", "model that sees natural images and those that were made to fool it"),
        "kind": ("", "kind of adversarial images"),
        "measure": LAYER_MAP["measure"],
        "layer": ("", "layer"),
        "depth": ("1", "its place from 0 to 1"),
        "value": ("1", "CKA of the layer on natural and on adversarial images"),
        "stderr": ("1", CKA_STDERR),
        "ci_low": ("1", "lower end of the 95 % interval (Student's)"),
        "ci_high": ("1", "upper end of it"),
        "chance": ("1", "value with permuted images"),
        "untrained": ("1", "value of the same network with random weights; missing without that baseline"),
        "accuracy": ("share of images", "accuracy on the natural images"),
        "robust_accuracy": ("share of images", "accuracy on the adversarial images"),
        "n": ("1", "images"),
    },
    "layer_transfer": {
        "kind": ("", "kind of adversarial images"),
        "measure": LAYER_MAP["measure"],
        "source": ("", "model for which the images were made"),
        "target": ("", "model that is shown them"),
        "source_eps": (PIXELS, f"{LEVEL}, of the source"),
        "target_eps": (PIXELS, f"{LEVEL}, of the target"),
        "robust_accuracy": ("share of images", "the target's accuracy on the source's adversarial images"),
        "accuracy": ("share of images", "the target's accuracy on the natural images"),
        **{
            f"{what}_{third}": ("1", f"mean CKA of source and target at the same layer, {words}{where}")
            for third, where in THIRDS.items()
            for what, words in (
                ("cka", "on the source's adversarial images, "),
                ("natural", "on natural images, "),
                ("difference", "on the former less that on the latter, "),
            )
        },
    },
    "layer_transfer_ranks": {
        "kind": ("", "kind of adversarial images"),
        "measure": LAYER_MAP["measure"],
        "third": ("", "third of the depth"),
        "pairs": ("1", "sources and targets"),
        "spearman_adversarial": (
            "1",
            "rank correlation over them of 1 - robust_accuracy / accuracy with CKA on the source's images; "
            "missing for fewer than five",
        ),
        "p_adversarial": ("1", "its two-sided p-value, which takes pairs for independent"),
        "spearman_natural": ("1", "the same with CKA on natural images"),
        "p_natural": ("1", "its two-sided p-value"),
    },
    "layer_epochs": {
        "model": ("", "model whose snapshots are compared"),
        "epoch": ("epochs", "of the snapshot"),
        "layer": ("", "cut point"),
        "depth": ("1", "its place from 0 to 1"),
        "stage": ("1", "how often positions had become fewer before it"),
        "block_end": ("", "whether a block ends there"),
        "to_last": ("1", "CKA of the layer at this epoch and at the last one"),
        "to_last_stderr": ("1", CKA_STDERR),
        "best_epoch": (
            "epochs",
            "the snapshot with the lowest loss on test images, attacked ones if it is robust",
        ),
        "to_best": ("1", "CKA of the layer at this epoch and at the best one"),
        "to_best_stderr": ("1", CKA_STDERR),
        "to_next": ("1", "CKA of the layer at this and at the next snapshot; missing at the last"),
        "to_next_stderr": ("1", CKA_STDERR),
        "arrived": ("epochs", "snapshot from which on to_last is at least .95"),
        "overfitting_gap": (
            "nats",
            "adversarial loss at this epoch on test images less that on training images",
        ),
        "chance": ("1", "to_last with permuted images"),
        "n": ("1", "images"),
    },
    "layer_epoch_pairs": {
        "model": ("", "model whose snapshots are compared"),
        "epoch_a": ("epochs", "of the earlier snapshot"),
        "epoch_b": ("epochs", "of the later one, or of the best"),
        "layer": ("", "cut point"),
        "value": ("1", "CKA of the layer in both"),
        "stderr": ("1", CKA_STDERR),
        "chance": ("1", "value with permuted images"),
        "n": ("1", "images"),
    },
}
# Those of the models table without what probes tell, and the dataset.
COLUMNS["other_models"] = {
    "dataset": (
        "",
        "label of the dataset that the model was made for, and on whose test split it was evaluated",
    ),
    **{
        name: meaning
        for name, meaning in COLUMNS["models"].items()
        if not name.startswith(("inversion_", "attack_", "same_"))
    },
}

PLACE = {
    "front": ("", "model whose first layers are taken"),
    "end": ("", "model whose last layers are taken"),
    "task": ("", "label of the dataset whose images train and judge the stitch"),
    "front_block": ("", "cut point of the front after which the stitch stands"),
    "end_block": ("", "cut point of the end before whose successors it stands"),
    "front_depth": ("1", "depth of the front's cut point among its layers, from 0 to 1"),
    "end_depth": ("1", "depth of the end's cut point, from 0 to 1"),
}


def _accuracy(name: str, images: str, number: str) -> dict[str, tuple[str, str]]:
    return {
        name: ("share of images", f"right answers on {images}"),
        f"{name}_low": ("share of images", "lower end of its 95 % interval (Wilson)"),
        f"{name}_high": ("share of images", "upper end of that interval"),
        number: ("1", f"{images}: how many"),
    }


COLUMNS["stitching_matching"] = {
    **PLACE,
    "family": ("", "least_squares; ridge, which shrinks; orthogonal, a rotation and one scale"),
    "stitched_here": ("", "whether the pair is stitched at this pair of cut points"),
    "r2": (
        "1",
        "share of the end's variance on test images that the map explains; below 0 worse than the mean",
    ),
    "r2_train": ("1", "the same on the training images of which the map is made"),
    **_accuracy("accuracy", "test images, stitched by this map without training", "n"),
    "n_train": ("1", "training images of which the map is made"),
    "note": ("", "why there is no map; empty if there is one"),
}
COLUMNS["stitching"] = {
    **PLACE,
    "block": ("1", "number of the place in the pair, from 1"),
    "objective": (
        "",
        "matching (no training), plain, adversarial-alpha or trades-beta; or a baseline: chance, "
        "whole front, whole end, random front and random end (weights in random order, stitch trained "
        "plainly), linear probe",
    ),
    "start": (
        "",
        "from where the stitch was trained: least_squares, random or identity; missing without training",
    ),
    "mode": ("", "published or fast settings; missing without training"),
    "repeat": ("1", "number of the training, from 0"),
    "epochs": ("1", "epochs of the training"),
    "epochs_trained": ("1", "epochs before its loss fell no further; missing where no plateau stops it"),
    "learning_rate": ("1", "its first or highest rate"),
    "batch_norm": ("", "frozen, or published: the donors' batch norms drifted during the training"),
    "diverged_at": (
        "steps",
        "step of the training at which its loss was finite no more; missing if it always was",
    ),
    "r2": ("1", "of direct matching at this place, on test images"),
    **_accuracy("accuracy", "test images", "n"),
    **_accuracy("robust_accuracy", "test images attacked by PGD", "robust_n"),
    **_accuracy("autoattack_accuracy", "test images attacked by AutoAttack's rand", "autoattack_n"),
    "agreement_front": ("share of images", "test images that it and the front answer alike"),
    "agreement_end": ("share of images", "test images that it and the end answer alike"),
    "majority_share": ("share of images", "of the class that it names most"),
    "distance": ("1", "root mean square distance of the stitched values from the end's own"),
    "distance_relative": (
        "1",
        "that relative to the root mean square distance of the end's values of two images",
    ),
}


def _agreement(case: str, images: str) -> dict[str, tuple[str, str]]:
    return {
        f"agreement_{case}": ("share of images", f"{images} on which the stitched model answers as the head"),
        f"agreement_{case}_low": ("share of images", "lower end of its 95 % interval (Wilson)"),
        f"agreement_{case}_high": ("share of images", "upper end of that interval"),
        f"n_{case}": ("1", f"{images}: how many"),
    }


def _retrained(name: str, images: str) -> dict[str, tuple[str, str]]:
    return {
        f"agreement_{name}": (
            "share of images",
            f"natural images that both answer alike, the last layer of either trained anew on {images}",
        ),
        f"accuracy_body_{name}": ("share of images", "right answers of the body with that last layer"),
        f"accuracy_head_{name}": (
            "share of images",
            "right answers of the head's model with its own such one",
        ),
    }


COLUMNS["stitching_agreement"] = {
    "body": ("", "model whose representations are mapped"),
    "head": ("", "model whose last layer is given them"),
    "eps_body": ("1", LEVEL),
    "norm_body": ("", "threat that the body was trained to withstand; empty for a standard model"),
    "eps_head": ("1", LEVEL),
    "norm_head": ("", "threat that the head was trained to withstand; empty for a standard model"),
    "r2": ("1", "share of the variance of the head's own representations on natural probe images"),
    "r2_train": ("1", "the same on the training images of which the map is made"),
    "n_train": ("1", "training images of which the map is made"),
    "n": ("1", "images of the natural probe, on which the models are asked"),
    "accuracy_body": ("share of images", "right answers of the body"),
    "accuracy_head": ("share of images", "right answers of the head's model"),
    "accuracy_stitched": ("share of images", "right answers of the stitched model"),
    **_agreement("all", "natural images"),
    **_agreement("right", "images on which body and head are both right"),
    **_agreement("wrong", "images on which body and head give one wrong answer"),
    **_agreement("differ", "images on which body and head differ"),
    "differ_body": ("share of images", "of those on which they differ, answered as the body does"),
    "differ_neither": ("share of images", "of those on which they differ, answered as neither does"),
    "differ_head_right": ("share of images", "of those on which they differ, the head is right on"),
    "differ_body_right": ("share of images", "of those on which they differ, the body is right on"),
    "agreement_models": (
        "share of images",
        "natural images that the two models themselves answer alike; like the next ones missing without "
        "`retrained`",
    ),
    **_retrained("inverted", "the head's inverted images"),
    **_retrained("natural", "as many training images"),
    "n_retrained": ("1", "inverted images on which last layers are trained anew"),
    "note": ("", "why there are no numbers; empty if there are"),
}

COLUMNS["stitching_inversions"] = {
    **PLACE,
    "block": ("1", "number of the place in the pair, from 1; missing for whole models"),
    "view": ("", "stitched (by matching, without training), whole front or whole end"),
    "sample": ("", "seed and target of the inverted image"),
    "seed": ("", "image from which it is made, of another class than the target"),
    "target": ("", "image from which the model shall not tell it"),
    "loss": (
        "1",
        "distance of its representation from the target's, relative to its norm; missing where that is 0",
    ),
    "distance": ("1", "L2 distance from the seed, pixels being in [0, 1]"),
    "steps": ("1", "steps of the descent"),
}
COLUMNS["stitching_t_sne"] = {
    **PLACE,
    "block": ("1", "number of the place in the pair, from 1"),
    "of": (
        "",
        "front: what the front computes at the place; stitched: the representation of the model stitched "
        "there by matching",
    ),
    "sample": ("", "id of the test image"),
    "label": ("1", "its class"),
    "x": ("1", "its place by t-SNE"),
    "y": ("1", "its place by t-SNE"),
    "silhouette": (
        "1",
        "how well classes are apart in the values themselves, mean over these images, from -1 to 1; missing "
        "for one class",
    ),
}


def _loss(name: str, images: str) -> dict[str, tuple[str, str]]:
    return {
        f"{name}loss": (
            "share of images",
            f"accuracy of the whole front less that of the stitched, {images}",
        ),
        f"{name}loss_low": ("share of images", "lower end of its 95 % interval"),
        f"{name}loss_high": ("share of images", "upper end of that interval"),
    }


COLUMNS["stitching_replaceable"] = {
    **{key: PLACE[key] for key in ("front", "end", "task")},
    **{key: COLUMNS["stitching"][key] for key in ("objective", "start", "mode", "epochs", "learning_rate")},
    "repeats": ("1", "trainings over which accuracies are averaged"),
    "recommended": ("", "whether neither loss can be more than the margin, by its interval"),
    "margin": ("share of images", "the loss that counts as none"),
    **{key: PLACE[key] for key in ("front_block", "end_block")},
    "block": (
        "1",
        "the first block after which the rest of the front can be replaced by that of the end; the last one "
        "if there is none",
    ),
    "blocks": ("1", "blocks at which the pair is stitched"),
    "accuracy": ("share of images", "right answers of the stitched model on test images, mean of repeats"),
    **_loss("", "test images"),
    "n": ("1", "test images"),
    **_loss("robust_", "attacked test images"),
    "robust_n": ("1", "attacked test images"),
    "random_end": (
        "share of images",
        "accuracy of the same with an end of random weights: where it is as high, the stitch does the work",
    ),
    "r2": ("1", "of direct matching at this place, on test images"),
}
