"""What standards and law say of a network's evidence, clause by clause, and what an audit has for it.

Numbers of clauses are those of ISO/IEC TR 24029-1:2021 (a report, which asks nothing), ISO/IEC 24029-2:2023 and
Regulation (EU) 2024/1689. Rows of ISO/IEC 24029 were written from its published tables of contents: they name the
subject of a clause and nothing more. Those of the law tell it in brief and in our words. The documents alone decide.
"""

from __future__ import annotations

from dataclasses import dataclass

PART_1 = "ISO/IEC TR 24029-1:2021"
PART_2 = "ISO/IEC 24029-2:2023"
ARTICLE = "EU AI Act, Article 15"
ANNEX = "EU AI Act, Annex IV"


@dataclass(frozen=True)
class Clause:
    """One clause.

    Attributes:
        source: the document.
        number: of the clause in it.
        about: what it is about.
        missing: what an audit doesn't give for it.
        values: (check, regular expressions of its values) that speak to it; without an expression, what its grade comes
            from.
        facts: "subject", "data", "gates" or "comparison": what else of the report does.
    """

    source: str
    number: str
    about: str
    missing: str
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    facts: tuple[str, ...] = ()


_RIGHT = ("accuracy", ())
_SURE = ("calibration", ("ece_debiased", "overconfidence"))
_ATTACKED = ("robustness", ("clean_accuracy_kept", "mean_iou_kept", "robust_accuracy_at_.+"))
_PERTURBED = ("corruptions", ("clean_error", "mean_error", "skill_lost"))
_FOREIGN = ("ood", ("auroc_worst", "auroc_mean"))
_WRONG = ("fragility", ("fi", "confident_errors"))
_GROUPS = (("groups", ()), ("slices", ()))

CLAUSES: tuple[Clause, ...] = (
    Clause(
        PART_1,
        "4.1.2",
        "A typical workflow for assessing robustness.",
        "Where the goals come from, who agreed to them, and a written test plan.",
        facts=("gates",),
    ),
    Clause(
        PART_1,
        "5.2",
        "Statistical methods: measures of performance and robustness.",
        "That the test samples stand for those of use: an interval covers chance in drawing them and nothing else.",
        (_RIGHT, _SURE),
        ("data",),
    ),
    Clause(
        PART_1,
        "5.3",
        "Statistical methods of measuring robustness.",
        "That these alterations, and their strength, are those that your inputs meet.",
        (_PERTURBED, _ATTACKED),
    ),
    Clause(
        PART_1,
        "6",
        "Formal methods.",
        "All of it: an audit samples and attacks, and proves nothing.",
    ),
    Clause(PART_1, "7.2", "Empirical methods: field trials.", "All of it."),
    Clause(
        PART_1,
        "7.3",
        "Empirical methods: testing of the finished network (a posteriori).",
        "Inputs collected in use, after the release.",
        (_RIGHT, _FOREIGN),
        ("data",),
    ),
    Clause(
        PART_1,
        "7.4",
        "Empirical methods: benchmarking.",
        "Other networks for the same job, and public benchmarks.",
        (("accuracy", ("baseline_.+", "chance")), ("fragility", ("baseline_nfi",))),
    ),
    Clause(
        PART_1,
        "Annex A",
        "Perturbations of data.",
        "Alterations that are special to your sensors and your place of use.",
        (_PERTURBED, ("robustness", ("noise_accuracy",))),
    ),
    Clause(
        PART_2,
        "5.2",
        "The domain on which robustness is assessed.",
        "The domain of use, in bounds of its attributes. Budgets around test samples are not it.",
        (_FOREIGN, ("robustness", ("robust_accuracy_at_.+",))),
        ("data",),
    ),
    Clause(
        PART_2,
        "5.3",
        "Stability.",
        "A proof. Attacks find counterexamples: what stayed right under them may still be fooled by others.",
        (_ATTACKED,),
    ),
    Clause(
        PART_2,
        "5.4",
        "Sensitivity.",
        "A bound that holds over the whole domain, and its dependence on single attributes.",
        (("robustness", ("area", "eps_half", "noise_accuracy")),),
    ),
    Clause(
        PART_2,
        "5.5",
        "Relevance.",
        "All of it: an audit explains no answer.",
    ),
    Clause(
        PART_2,
        "5.6",
        "Reachability.",
        "All of it: the network is looked at alone, one answer at a time.",
    ),
    Clause(
        PART_2,
        "6",
        "To which networks and kinds of input formal methods apply.",
        "All of it: no formal method is applied.",
    ),
    Clause(
        PART_2,
        "7",
        "Robustness over the life cycle of the system.",
        "Everything between two audits: monitoring, and who acts on it.",
        facts=("comparison",),
    ),
    Clause(
        ARTICLE,
        "15(1)",
        "Reach a level of accuracy, robustness and security that fits the purpose, and keep it.",
        "Which level fits your purpose, and that it is kept in operation.",
        (_RIGHT, _ATTACKED, _PERTURBED),
        ("gates",),
    ),
    Clause(
        ARTICLE,
        "15(3)",
        "Declare accuracy and its measures in the instructions for use.",
        "The instructions themselves.",
        (_RIGHT, _SURE),
    ),
    Clause(
        ARTICLE,
        "15(4)",
        "Withstand errors, faults and inconsistencies inside and around the system; tame loops of learning in use.",
        "Redundancy and plans for failure; loops of learning from its own answers; faults beside its input.",
        (_PERTURBED, _FOREIGN, _WRONG),
    ),
    Clause(
        ARTICLE,
        "15(5)",
        "Withstand those who try to change its behaviour: poisoned data or models, inputs made to fool, theft of data.",
        "Poisoning, attacks on confidentiality, and all security beside the network's own inputs.",
        (_ATTACKED,),
    ),
    Clause(
        ANNEX,
        "1",
        "Describe the system: purpose, provider, versions, how it is used and with what, instructions.",
        "Purpose, provider, versions, hardware and software around it, its interface, instructions.",
        facts=("subject",),
    ),
    Clause(
        ANNEX,
        "2(a)-(c)",
        "Describe how it was made: methods, design and its reasons, architecture, computing resources.",
        "Methods of training, reasons for the design, what training took.",
        (("cost", ("params", "macs", "latency_ms")),),
        ("subject",),
    ),
    Clause(
        ANNEX,
        "2(d)",
        "Describe the data: where they come from, how they were chosen, labelled and cleaned.",
        "Origin, choice, labelling and cleaning of the data.",
        (("duplicates", ()), ("labels", ())),
        ("data",),
    ),
    Clause(
        ANNEX,
        "2(e)",
        "Assess how people oversee it, and what helps them to read its answers.",
        "Oversight itself. Calibration says only whether its confidence can be taken at its word.",
        (_SURE,),
    ),
    Clause(
        ANNEX,
        "2(f)",
        "Describe changes that are planned from the start, and how it stays in line after them.",
        "All of it.",
    ),
    Clause(
        ANNEX,
        "2(g)",
        "Describe the tests: data, measures of accuracy and robustness, unfair effects, dated and signed reports.",
        "Who signs and when; effects on groups of people, where no column says who belongs to which.",
        (_RIGHT, _ATTACKED, _PERTURBED, *_GROUPS),
        ("data", "gates"),
    ),
    Clause(ANNEX, "2(h)", "Describe what was done for security.", "All of it."),
    Clause(
        ANNEX,
        "3",
        "Describe what it can and can't do, foreseeable harm, accuracy for groups of people, what inputs it needs.",
        "Harm outside of the numbers, oversight, groups that the data don't name.",
        (_RIGHT, _WRONG, _FOREIGN, *_GROUPS),
    ),
    Clause(
        ANNEX,
        "4",
        "Say why the measures of performance are the right ones for this system.",
        "The reasons, which are yours. The rule of each grade stands in its section of the report.",
    ),
    Clause(ANNEX, "5", "Describe the management of risks.", "All of it."),
    Clause(
        ANNEX,
        "6",
        "Describe what was changed over the life of the system.",
        "What was changed and why: a comparison shows what became of the numbers.",
        facts=("comparison",),
    ),
    Clause(ANNEX, "7", "List the standards that were applied.", "All of it: this table claims none."),
    Clause(ANNEX, "8", "Give a copy of the declaration of conformity.", "All of it."),
    Clause(
        ANNEX,
        "9",
        "Describe how it is watched after it is on the market.",
        "The plan, and what is collected in use.",
        (("drift", ()),),
    ),
)
