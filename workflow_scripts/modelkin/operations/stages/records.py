"""The records of all stages, in the order of the workflow, and of the commands that look at a study."""

from __future__ import annotations

from modelkin.operations.stages import counts, sizes
from modelkin.operations.stages.columns import COLUMNS
from modelkin.operations.stages.record import Condition, Stage, Table, register

DOWNLOAD = 50  # minutes more for a job that may download
DRAWING = 20  # minutes more for tables, clusters, ensembles and figures
READING = 50  # minutes more for reading the whole study
# Seconds and bytes for each row of `similarity`, of 300 models by five measures (benchmarks/scale.py).
JOINED, CLUSTERED, CONCLUDED, ENSEMBLED = 4e-5, 1.7e-4, 1e-5, 1.7e-4
JOINED_BYTES, CLUSTERED_BYTES = 2300, 500

TRAINED = Condition(
    "models are trained here", lambda study: bool({*study.active} & {*study.of_source("train")})
)
COMPARED = Condition("models are run on probes", lambda study: bool(study.compared))
COMPONENTS = Condition("components are known", lambda study: bool(study.compared or study.components_asked))
OTHER_TASKS = Condition(
    "a model of another task is not retired", lambda study: bool(study.active_of_other_tasks)
)
ADVERSARIAL = Condition("the config has `adversarial`", lambda study: bool(study.attacks))
BOUNDARIES = Condition("a measure of boundaries is asked for", lambda study: bool(study.boundaries))
SAT = Condition(
    "the measure `sat` is asked for", lambda study: "sat" in [chosen.name for chosen in study.measures]
)
DRAWS = Condition("the config has `draws`", lambda study: bool(study.resampling_draws))
DISTILLATION = Condition("the config has `distillation`", lambda study: bool(study.distillation))


def described(*names: str) -> list[Table]:
    """Tables whose columns are described in :mod:`~modelkin.operations.stages.columns`."""
    return [Table(name, COLUMNS[name]) for name in names]


register(
    Stage(
        name="dataset",
        version=2,
        description="Reads the dataset's images and stores them as arrays.",
        jobs=counts.EACH_DATASET,
        seconds=sizes.decoding_seconds,
        extra_minutes=DOWNLOAD,
        held=sizes.both_splits_held,
        stored=sizes.dataset_stored,
    )
)
register(
    Stage(
        name="probes",
        version=1,
        description="Draws the natural probe, and the pairs of seed and target of all inverted probes.",
        jobs=counts.EACH_DATASET_WITH_PROBES,
        held=sizes.natural_probe_held,
        stored=sizes.natural_probe_stored,
    )
)
register(
    Stage(
        name="train",
        version=3,
        description="Trains a model.",
        jobs=counts.EACH_TRAINED,
        uses_gpu=True,
        passes=counts.training_passes,
        held=sizes.training_split_held,
        stored=sizes.weights_stored,
    )
)
register(
    Stage(
        name="import_model",
        recorded="import",
        version=2,
        description="Takes in a model from elsewhere and checks that it fits.",
        jobs=counts.EACH_TAKEN,
        uses_gpu=True,
        extra_minutes=DOWNLOAD,
        stored=sizes.weights_stored,
    )
)
SNAPSHOTS = Condition("`training` asks for `snapshots`", lambda study: bool(study.with_snapshots))
register(
    Stage(
        name="snapshots",
        version=1,
        description="Keeps a model's weights along its training, trained once more where that left none.",
        jobs=counts.EACH_WITH_SNAPSHOTS,
        condition=SNAPSHOTS,
        uses_gpu=True,
        passes=counts.training_passes,
        expected_passes=counts.no_passes,
        held=sizes.training_split_held,
        stored=sizes.snapshots_stored,
    )
)
register(
    Stage(
        name="evaluate_snapshots",
        version=1,
        description="Measures losses and accuracies of a model along its training.",
        jobs=counts.EACH_WITH_SNAPSHOTS,
        condition=SNAPSHOTS,
        uses_gpu=True,
        passes=counts.snapshot_passes,
    )
)
register(
    Stage(
        name="evaluate",
        version=5,
        description="Measures a model's accuracy on clean and on attacked images, and reads its components.",
        jobs=counts.EACH_WITH_WEIGHTS,
        uses_gpu=True,
        passes=counts.evaluation_passes,
    )
)
register(
    Stage(
        name="invert",
        version=2,
        description="Changes seed images until a model's representations are those of their targets.",
        jobs=counts.EACH_MODEL_AND_DATASET,
        uses_gpu=True,
        passes=counts.inversion_passes,
        expected_passes=counts.expected_inversion_passes,
        stored=sizes.inverted_probe_stored,
    )
)
register(
    Stage(
        name="attack",
        version=2,
        description="Changes the natural probe until a model errs.",
        jobs=counts.EACH_MODEL_AND_ATTACK,
        condition=ADVERSARIAL,
        uses_gpu=True,
        passes=counts.attack_passes,
        stored=sizes.adversarial_probe_stored,
    )
)
register(
    Stage(
        name="boundaries",
        version=1,
        description="Asks a model where it decides, on planes and on the way to other images.",
        jobs=counts.EACH_MODEL,
        condition=BOUNDARIES,
        uses_gpu=True,
        passes=counts.boundary_passes,
        stored=sizes.boundaries_stored,
    )
)
ACTIVATIONS = {"recorded": "activations", "version": 4, "uses_gpu": True}
register(
    Stage(
        name="activations_natural",
        description="Computes a model's representations, logits and saliency on a natural probe.",
        jobs=counts.EACH_MODEL_AND_DATASET,
        passes=counts.natural_passes,
        stored=sizes.natural_activations_stored,
        **ACTIVATIONS,
    )
)
register(
    Stage(
        name="activations_inverted",
        description="Runs all models up to one on its inverted probe, and that one on theirs.",
        jobs=counts.EACH_MODEL_AND_DATASET,
        passes=counts.shell_passes("inverted"),
        stored=sizes.shell_stored("inverted"),
        **ACTIVATIONS,
    )
)
register(
    Stage(
        name="activations_adversarial",
        description="Runs all models up to one on its adversarial probe, and that one on theirs.",
        jobs=counts.EACH_MODEL_AND_ATTACK,
        condition=ADVERSARIAL,
        passes=counts.shell_passes("natural"),
        stored=sizes.shell_stored("natural"),
        **ACTIVATIONS,
    )
)
register(
    Stage(
        name="similarity",
        version=1,
        description="Compares every pair that a model completes by every measure.",
        jobs=counts.EACH_MODEL,
        uses_gpu=True,
        comparisons=counts.shell_comparisons,
        seconds=sizes.reading_seconds(counts.shell_comparisons),
        held=sizes.comparison_held,
    )
)
LAYERS_WITHIN = Condition("`layers` compares models with themselves", lambda study: bool(study.layers_within))
LAYERS_BETWEEN = Condition("`layers` compares pairs of models", lambda study: bool(study.layers_between))
LAYERS_ALONG_TRAINING = Condition(
    "`layers` compares snapshots", lambda study: bool(study.layers_along_training)
)
register(
    Stage(
        name="layers_within",
        version=1,
        description="Compares a model's layers with each other, on natural and on its adversarial images.",
        jobs=counts.EACH_WITHIN,
        condition=LAYERS_WITHIN,
        uses_gpu=True,
        multiplies_layers=True,
        passes=counts.within_passes,
        seconds=sizes.procrustes_seconds,
        held=sizes.within_held,
        stored=sizes.within_stored,
    )
)
register(
    Stage(
        name="layers_between",
        version=1,
        description="Compares the layers of two models, on natural images and on those that fool either.",
        jobs=counts.EACH_BETWEEN,
        condition=LAYERS_BETWEEN,
        uses_gpu=True,
        multiplies_layers=True,
        passes=counts.between_passes,
        seconds=sizes.procrustes_seconds,
        held=sizes.between_held,
        stored=sizes.between_stored,
    )
)
register(
    Stage(
        name="layers_snapshots",
        version=2,
        description="Compares a model's layers along its training.",
        jobs=counts.EACH_ALONG_TRAINING,
        condition=LAYERS_ALONG_TRAINING,
        uses_gpu=True,
        multiplies_layers=True,
        passes=counts.along_training_passes,
        held=sizes.along_training_held,
        stored=sizes.along_training_stored,
    )
)
register(
    Stage(
        name="import_similarity",
        recorded="imported",
        version=1,
        description="Takes in similarities that somebody else measured.",
        jobs=counts.EACH_IMPORTED,
    )
)
register(
    Stage(
        name="tables",
        version=4,
        description="Joins what is known of models, inversions and pairs, and summarises it.",
        jobs=counts.ONE,
        tables=[
            *described("models"),
            Table("components", COLUMNS["components"], COMPONENTS),
            Table("inversions", COLUMNS["inversions"], COMPARED),
            *described("similarity", "summary"),
            Table("asymmetry", COLUMNS["asymmetry"], COMPARED),
            *described("relations"),
            Table("training", COLUMNS["training"], TRAINED),
        ],
        extra_minutes=DRAWING,
        seconds=counts.for_each_similarity(JOINED),
        held=counts.for_each_similarity(JOINED_BYTES),
    )
)
register(
    Stage(
        name="other_models",
        recorded="tables",
        version=4,
        description="Lists the models of other tasks with their cards.",
        jobs=counts.ONE,
        condition=OTHER_TASKS,
        tables=described("other_models"),
        extra_minutes=DRAWING,
    )
)
register(
    Stage(
        name="training_epochs",
        version=1,
        description="Joins what is known of models along their training.",
        jobs=counts.ONE,
        condition=Condition(
            "`training` asks for `snapshots` of a model that is not retired",
            lambda study: bool({*study.active} & {*study.with_snapshots}),
        ),
        tables=described("training_epochs"),
        extra_minutes=DRAWING,
    )
)
LAYER_MAPS = Condition(
    "`layers` compares models", lambda study: bool(study.layers_within or study.layers_between)
)
LAYER_ADVERSARIAL = Condition(
    "`layers` compares models with themselves on adversarial images",
    lambda study: bool(study.layers_within and len(study.layers["images"]) > 1),
)
LAYER_TRANSFER = Condition(
    "`layers` compares pairs of models on adversarial images",
    lambda study: bool(study.layers_between and len(study.layers["images"]) > 1),
)
LAYER_EPOCH_PAIRS = Condition(
    "`layers` compares all snapshots with each other",
    lambda study: bool(study.layers_along_training and study.layers["snapshots"]["against"] == "all"),
)
register(
    Stage(
        name="layer_tables",
        version=1,
        description="Puts into tables what comparisons of layers say, beside attacks and losses.",
        jobs=counts.ONE,
        condition=Condition("the config has `layers`", lambda study: study.layers is not None),
        tables=[
            *described("layers", "layer_maps"),
            Table("layer_summary", COLUMNS["layer_summary"], LAYER_MAPS),
            Table("layer_adversarial", COLUMNS["layer_adversarial"], LAYER_ADVERSARIAL),
            Table("layer_transfer", COLUMNS["layer_transfer"], LAYER_TRANSFER),
            Table("layer_transfer_ranks", COLUMNS["layer_transfer_ranks"], LAYER_TRANSFER),
            Table("layer_epochs", COLUMNS["layer_epochs"], LAYERS_ALONG_TRAINING),
            Table("layer_epoch_pairs", COLUMNS["layer_epoch_pairs"], LAYER_EPOCH_PAIRS),
        ],
        extra_minutes=DRAWING,
        held=sizes.layer_tables_held,
    )
)
STITCHING = Condition("the config has `stitching`", lambda study: bool(study.stitched_pairs))
register(
    Stage(
        name="stitch",
        version=1,
        description="Stitches a front to an end at all blocks, by matching and by training, and judges it.",
        jobs=counts.EACH_STITCHED_PAIR,
        condition=STITCHING,
        uses_gpu=True,
        passes=counts.stitching_passes,
        held=sizes.training_split_held,
    )
)
register(
    Stage(
        name="stitching",
        version=3,
        description="Joins what is known of all stitches, and says which blocks can be replaced.",
        jobs=counts.ONE,
        condition=STITCHING,
        tables=described("stitching", "stitching_matching", "stitching_replaceable"),
        extra_minutes=DRAWING,
    )
)
VIEWS = Condition("`stitching` has `inversions` or `t_sne`", lambda study: bool(study.stitched_views))
INVERSIONS = Condition("`stitching` has `inversions`", lambda study: "inversions" in study.stitched_views)
T_SNE = Condition("`stitching` has `t_sne`", lambda study: "t_sne" in study.stitched_views)
register(
    Stage(
        name="stitch_views",
        version=1,
        description="Inverts images through stitched models, and puts their representations in the plane.",
        jobs=counts.EACH_STITCHED_PAIR,
        condition=VIEWS,
        uses_gpu=True,
        passes=counts.stitched_view_passes,
        held=sizes.training_split_held,
    )
)
register(
    Stage(
        name="stitching_views",
        version=1,
        description="Joins what is seen of the stitched models of all pairs.",
        jobs=counts.ONE,
        condition=VIEWS,
        tables=[
            Table("stitching_inversions", COLUMNS["stitching_inversions"], INVERSIONS),
            Table("stitching_t_sne", COLUMNS["stitching_t_sne"], T_SNE),
        ],
        extra_minutes=DRAWING,
    )
)
AGREEMENT = Condition("`stitching` has `agreement`", lambda study: study.agreement is not None)
register(
    Stage(
        name="training_activations",
        version=1,
        description="Computes a model's representations of training images.",
        jobs=counts.EACH_MODEL,
        condition=AGREEMENT,
        uses_gpu=True,
        passes=counts.training_activation_passes,
        held=sizes.training_split_held,
        stored=sizes.training_activations_stored,
    )
)
register(
    Stage(
        name="stitched_heads",
        version=2,
        description="Gives heads what other models compute, for every pair that a model completes.",
        jobs=counts.EACH_MODEL,
        condition=AGREEMENT,
        uses_gpu=True,
        seconds=sizes.head_seconds,
        held=sizes.heads_held,
    )
)
register(
    Stage(
        name="stitching_agreement",
        version=2,
        description="Joins what is known of heads on other models' representations.",
        jobs=counts.ONE,
        condition=AGREEMENT,
        tables=described("stitching_agreement"),
        extra_minutes=DRAWING,
    )
)
register(
    Stage(
        name="clusters",
        version=6,
        description="Clusters the models by each measure's spectrum, and measures how stable clusters are.",
        jobs=counts.ONE,
        tables=described("clusters", "cluster_stability", "spectra", "spectral_features"),
        extra_minutes=DRAWING,
        seconds=counts.for_each_similarity(CLUSTERED),
        held=counts.for_each_similarity(CLUSTERED_BYTES),
    )
)
register(
    Stage(
        name="conclusions",
        version=2,
        description="Says which conclusions hold under every measure, and which under some.",
        jobs=counts.ONE,
        tables=described("conclusions"),
        extra_minutes=DRAWING,
        seconds=counts.for_each_similarity(CONCLUDED),
    )
)
register(
    Stage(
        name="components",
        version=5,
        description="Says which components of the architectures go with similarity.",
        jobs=counts.ONE,
        condition=COMPONENTS,
        tables=described("component_importance", "component_scores", "component_keywords"),
        extra_minutes=DRAWING,
    )
)
register(
    Stage(
        name="ensembles",
        version=8,
        description="Measures what ensembles gain by members that are not alike.",
        jobs=counts.ONE,
        condition=COMPARED,
        tables=described(
            *("ensemble_pairs", "ensemble_correlations", "ensemble_clusters"),
            *("ensemble_choices", "ensemble_relations", "ensemble_best"),
        ),
        extra_minutes=DRAWING,
        seconds=counts.for_each_similarity(ENSEMBLED),
        held=sizes.ensembles_held,
    )
)
register(
    Stage(
        name="distill",
        version=1,
        description="Trains students to repeat a teacher's answers.",
        jobs=counts.EACH_TEACHER,
        condition=DISTILLATION,
        uses_gpu=True,
        passes=counts.distillation_passes,
        held=sizes.training_split_held,
    )
)
register(
    Stage(
        name="distillation",
        version=3,
        description="Correlates how well models teach with how similar they are to the student.",
        jobs=counts.ONE,
        condition=DISTILLATION,
        tables=described("distillation", "distillation_correlations"),
        extra_minutes=DRAWING,
    )
)
register(
    Stage(
        name="recommendations",
        version=3,
        description="Names the ensembles and the teacher to choose among the study's models.",
        jobs=counts.ONE,
        condition=COMPARED,
        tables=described("recommendations"),
        extra_minutes=DRAWING,
    )
)
register(
    Stage(
        name="sat_shortcut",
        version=1,
        description="Compares similarity by attack transferability with what one model's attack alone says.",
        jobs=counts.ONE,
        condition=SAT,
        uses_torch=True,
        tables=described("sat_shortcut", "sat_shortcut_models"),
        seconds=sizes.transfer_seconds,
    )
)
register(
    Stage(
        name="draws",
        version=2,
        description="Takes every measure anew on parts of the images, to see how much its values vary.",
        jobs=counts.ONE,
        condition=DRAWS,
        uses_gpu=True,
        tables=described("draws"),
        comparisons=counts.draw_comparisons,
        seconds=sizes.reading_seconds(counts.draw_comparisons),
        held=sizes.comparison_held,
    )
)
register(
    Stage(
        name="dictionary",
        version=8,
        description="Describes every column of every table, and every measure.",
        jobs=counts.ONE,
        tables=described("dictionary", "measures"),
    )
)
register(
    Stage(
        name="figures",
        rule="figure_*",
        version=10,
        description="Draws a figure.",
        jobs=counts.EACH_FIGURE,
        usual_seconds=4.0,
        extra_minutes=DRAWING,
    )
)
register(
    Stage(
        name="explorer",
        version=4,
        description="Says what was found in words, and puts every number on one page to explore.",
        jobs=counts.ONE,
        usual_seconds=15.0,
        extra_minutes=DRAWING,
        held=sizes.page_held,
    )
)
register(
    Stage(
        name="plan",
        version=None,
        description="Says what a study will cost before it runs.",
        jobs=counts.ONE,
        uses_gpu=True,
        extra_minutes=DRAWING,
    )
)
register(
    Stage(
        name="verify",
        version=None,
        description="Says what of a study is damaged, missing, stale or orphaned.",
        jobs=counts.ONE,
        extra_minutes=READING,
    )
)
register(
    Stage(
        name="bundle",
        version=None,
        description="Packs the whole study into one file.",
        jobs=counts.ONE,
        extra_minutes=READING,
    )
)
