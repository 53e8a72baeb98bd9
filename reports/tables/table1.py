"""Table 1 of the paper: classification, segmentation and depth, by student architecture."""

from reports.building.declaration import Declaration, Family, Published

FAMILIES = (
    Family("ResNet-50", ("ResNet-50",), r"(resnet50|RN50)$"),
    Family("ConvNeXt-B", ("ConvNeXt-B",), r"convnext_base$"),
    Family("ViT-B", ("ViT-B/16", "ViT-B/14", "RADIOv2.5-B"), r"(vit|deit|deit3)_base_patch|ViT-B-"),
    Family("ViT-L", ("ViT-L/16", "ViT-L/14", "RADIOv2.5-L"), r"(vit|deit3)_large_patch|ViT-L-"),
)

TABLE1 = Declaration(
    name="table1",
    title="Fine-tuning, segmentation and depth",
    number="Table 1",
    families=FAMILIES,
    published=Published(
        number=1,
        labels={
            "Method": "method",
            "Architecture": "student_arch",
            "Setting": "setting",
            "Images": "pretrain_images",
        },
        family="student_arch",
        columns={
            ("imagenet_finetune", "imagenet", "paper", "top1"): "imagenet_top1",
            ("finegrained_finetune", "aircraft", "paper", "accuracy"): "aircraft_acc",
            ("finegrained_finetune", "caltech101", "paper", "accuracy"): "caltech101_acc",
            ("finegrained_finetune", "cub", "paper", "accuracy"): "cub_acc",
            ("ade20k_linear", "ade20k", "paper", "miou"): "ade20k_miou",
            ("nyuv2_depth", "nyuv2", "paper", "rmse"): "nyuv2_rmse",
        },
        quoted="official_result",
    ),
)
