"""The part of the Caffe format that classification networks use, as protobuf messages built at run time.

Field numbers and enumerations are facts of the format. Each line of the tables reads ``name number type``,
a star marks a repeated field. Array data is declared as bytes: a packed repeated number and a byte string
look the same on the wire, and bytes become an array without a copy.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "pfungst.caffe"

ENUMS: dict[str, dict[str, int]] = {
    "Phase": {"TRAIN": 0, "TEST": 1},
    "Engine": {"DEFAULT": 0, "CAFFE": 1, "CUDNN": 2},
    "NormRegion": {"ACROSS_CHANNELS": 0, "WITHIN_CHANNEL": 1},
    "PoolMethod": {"MAX": 0, "AVE": 1, "STOCHASTIC": 2},
    "RoundMode": {"CEIL": 0, "FLOOR": 1},
    "EltwiseOp": {"PROD": 0, "SUM": 1, "MAX": 2},
    "VarianceNorm": {"FAN_IN": 0, "FAN_OUT": 1, "AVERAGE": 2},
    "DimCheckMode": {"STRICT": 0, "PERMISSIVE": 1},
    "LegacyType": {
        "NONE": 0, "ACCURACY": 1, "BNLL": 2, "CONCAT": 3, "CONVOLUTION": 4, "DATA": 5, "DROPOUT": 6,
        "EUCLIDEAN_LOSS": 7, "FLATTEN": 8, "HDF5_DATA": 9, "HDF5_OUTPUT": 10, "IM2COL": 11, "IMAGE_DATA": 12,
        "INFOGAIN_LOSS": 13, "INNER_PRODUCT": 14, "LRN": 15, "MULTINOMIAL_LOGISTIC_LOSS": 16, "POOLING": 17,
        "RELU": 18, "SIGMOID": 19, "SOFTMAX": 20, "SOFTMAX_LOSS": 21, "SPLIT": 22, "TANH": 23,
        "WINDOW_DATA": 24, "ELTWISE": 25, "POWER": 26, "SIGMOID_CROSS_ENTROPY_LOSS": 27, "HINGE_LOSS": 28,
        "MEMORY_DATA": 29, "ARGMAX": 30, "THRESHOLD": 31, "DUMMY_DATA": 32, "SLICE": 33, "MVN": 34,
        "ABSVAL": 35, "SILENCE": 36, "CONTRASTIVE_LOSS": 37, "EXP": 38, "DECONVOLUTION": 39,
    },
}  # fmt: skip

LEGACY_TYPES: dict[str, str] = {
    "ACCURACY": "Accuracy", "BNLL": "BNLL", "CONCAT": "Concat", "CONVOLUTION": "Convolution", "DATA": "Data",
    "DROPOUT": "Dropout", "EUCLIDEAN_LOSS": "EuclideanLoss", "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output", "IM2COL": "Im2col", "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "POOLING": "Pooling", "RELU": "ReLU",
    "SIGMOID": "Sigmoid", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split",
    "TANH": "TanH", "WINDOW_DATA": "WindowData", "ELTWISE": "Eltwise", "POWER": "Power",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "HINGE_LOSS": "HingeLoss",
    "MEMORY_DATA": "MemoryData", "ARGMAX": "ArgMax", "THRESHOLD": "Threshold", "DUMMY_DATA": "DummyData",
    "SLICE": "Slice", "MVN": "MVN", "ABSVAL": "AbsVal", "SILENCE": "Silence",
    "CONTRASTIVE_LOSS": "ContrastiveLoss", "EXP": "Exp", "DECONVOLUTION": "Deconvolution",
}  # fmt: skip
"""The current name of each enumerated type."""

_SPATIAL = "kernel_h 11 uint32, kernel_w 12 uint32, stride_h 13 uint32, stride_w 14 uint32"
_PARAMETERS: dict[str, str] = {
    "FillerParameter": "type 1 string, value 2 float, min 3 float, max 4 float, mean 5 float, std 6 float, "
    "sparse 7 int32, variance_norm 8 VarianceNorm",
    "ConvolutionParameter": "num_output 1 uint32, bias_term 2 bool, pad 3 uint32*, kernel_size 4 uint32*, "
    "group 5 uint32, stride 6 uint32*, weight_filler 7 FillerParameter, bias_filler 8 FillerParameter, "
    f"pad_h 9 uint32, pad_w 10 uint32, {_SPATIAL}, engine 15 Engine, axis 16 int32, "
    "force_nd_im2col 17 bool, dilation 18 uint32*",
    "InnerProductParameter": "num_output 1 uint32, bias_term 2 bool, weight_filler 3 FillerParameter, "
    "bias_filler 4 FillerParameter, axis 5 int32, transpose 6 bool",
    "LRNParameter": "local_size 1 uint32, alpha 2 float, beta 3 float, norm_region 4 NormRegion, k 5 float, "
    "engine 6 Engine",
    "PoolingParameter": "pool 1 PoolMethod, kernel_size 2 uint32, stride 3 uint32, pad 4 uint32, "
    "kernel_h 5 uint32, kernel_w 6 uint32, stride_h 7 uint32, stride_w 8 uint32, pad_h 9 uint32, "
    "pad_w 10 uint32, engine 11 Engine, global_pooling 12 bool, round_mode 13 RoundMode",
    "ConcatParameter": "concat_dim 1 uint32, axis 2 int32",
    "SliceParameter": "slice_dim 1 uint32, slice_point 2 uint32*, axis 3 int32",
    "EltwiseParameter": "operation 1 EltwiseOp, coeff 2 float*, stable_prod_grad 3 bool",
    "DropoutParameter": "dropout_ratio 1 float",
    "SoftmaxParameter": "engine 1 Engine, axis 2 int32",
    "SigmoidParameter": "engine 1 Engine",
    "TanHParameter": "engine 1 Engine",
    "ReLUParameter": "negative_slope 1 float, engine 2 Engine",
    "PReLUParameter": "filler 1 FillerParameter, channel_shared 2 bool",
    "ELUParameter": "alpha 1 float",
    "PowerParameter": "power 1 float, scale 2 float, shift 3 float",
    "FlattenParameter": "axis 1 int32, end_axis 2 int32",
    "BatchNormParameter": "use_global_stats 1 bool, moving_average_fraction 2 float, eps 3 float",
    "ScaleParameter": "axis 1 int32, num_axes 2 int32, filler 3 FillerParameter, bias_term 4 bool, "
    "bias_filler 5 FillerParameter",
    "InputParameter": "shape 1 BlobShape*",
    "ReshapeParameter": "shape 1 BlobShape, axis 2 int32, num_axes 3 int32",
    "PermuteParameter": "order 1 uint32*",
    "TransformationParameter": "scale 1 float, mirror 2 bool, crop_size 3 uint32, mean_file 4 string, "
    "mean_value 5 float*, force_color 6 bool, force_gray 7 bool",
    "SourceParameter": "scale 2 float, mean_file 3 string, crop_size 5 uint32, mirror 6 bool",
}
_CURRENT_PARAMETERS = (
    "concat_param 104 ConcatParameter, convolution_param 106 ConvolutionParameter, "
    "dropout_param 108 DropoutParameter, eltwise_param 110 EltwiseParameter, "
    "inner_product_param 117 InnerProductParameter, lrn_param 118 LRNParameter, "
    "pooling_param 121 PoolingParameter, power_param 122 PowerParameter, relu_param 123 ReLUParameter, "
    "sigmoid_param 124 SigmoidParameter, softmax_param 125 SoftmaxParameter, slice_param 126 SliceParameter, "
    "tanh_param 127 TanHParameter, prelu_param 131 PReLUParameter, reshape_param 133 ReshapeParameter, "
    "flatten_param 135 FlattenParameter, batch_norm_param 139 BatchNormParameter, "
    "elu_param 140 ELUParameter, "
    "data_param 107 SourceParameter, image_data_param 115 SourceParameter, "
    "window_data_param 129 SourceParameter, "
    "scale_param 142 ScaleParameter, input_param 143 InputParameter, permute_param 202 PermuteParameter"
)
_LEGACY_PARAMETERS = (
    "data_param 11 SourceParameter, image_data_param 15 SourceParameter, "
    "window_data_param 20 SourceParameter, "
    "concat_param 9 ConcatParameter, convolution_param 10 ConvolutionParameter, "
    "dropout_param 12 DropoutParameter, inner_product_param 17 InnerProductParameter, "
    "lrn_param 18 LRNParameter, pooling_param 19 PoolingParameter, power_param 21 PowerParameter, "
    "eltwise_param 24 EltwiseParameter, relu_param 30 ReLUParameter, slice_param 31 SliceParameter, "
    "tanh_param 37 TanHParameter, sigmoid_param 38 SigmoidParameter, softmax_param 39 SoftmaxParameter"
)
_MESSAGES: dict[str, str] = {
    **_PARAMETERS,
    "BlobShape": "dim 1 int64*",
    "BlobProto": "num 1 int32, channels 2 int32, height 3 int32, width 4 int32, data 5 bytes*, "
    "shape 7 BlobShape, double_data 8 bytes*",
    "UnpackedBlob": "data 5 float*, double_data 8 double*",
    "ParamSpec": "name 1 string, share_mode 2 DimCheckMode, lr_mult 3 float, decay_mult 4 float",
    "NetState": "phase 1 Phase, level 2 int32, stage 3 string*",
    "NetStateRule": "phase 1 Phase, min_level 2 int32, max_level 3 int32, stage 4 string*, "
    "not_stage 5 string*",
    "LayerParameter": "name 1 string, type 2 string, bottom 3 string*, top 4 string*, loss_weight 5 float*, "
    "param 6 ParamSpec*, blobs 7 BlobProto*, include 8 NetStateRule*, exclude 9 NetStateRule*, "
    "phase 10 Phase, propagate_down 11 bool*, transform_param 100 TransformationParameter, "
    + _CURRENT_PARAMETERS,
    "V0LayerParameter": "name 1 string, type 2 string",
    "V1LayerParameter": "layer 1 V0LayerParameter, bottom 2 string*, top 3 string*, name 4 string, "
    "type 5 LegacyType, blobs 6 BlobProto*, blobs_lr 7 float*, weight_decay 8 float*, "
    "include 32 NetStateRule*, exclude 33 NetStateRule*, loss_weight 35 float*, "
    "transform_param 36 TransformationParameter, "
    "param 1001 string*, blob_share_mode 1002 DimCheckMode*, " + _LEGACY_PARAMETERS,
    "NetParameter": "name 1 string, layers 2 V1LayerParameter*, input 3 string*, input_dim 4 int32*, "
    "force_backward 5 bool, state 6 NetState, debug_info 7 bool, input_shape 8 BlobShape*, "
    "layer 100 LayerParameter*",
}

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "int32": _Field.TYPE_INT32, "uint32": _Field.TYPE_UINT32, "int64": _Field.TYPE_INT64,
    "float": _Field.TYPE_FLOAT, "double": _Field.TYPE_DOUBLE, "bool": _Field.TYPE_BOOL,
    "string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES,
}  # fmt: skip


@cache
def message_class(name: str) -> Any:
    """The message class of one of the Caffe messages above, such as ``NetParameter``."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{PACKAGE}.{name}"))


@cache
def _pool() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="pfungst_caffe.proto", package=PACKAGE, syntax="proto2")
    for name, values in ENUMS.items():
        enum = file.message_type.add(name=f"{name}Scope").enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for line in fields.split(","):
            _add_field(message, *line.split())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file) if hasattr(pool, "Add") else pool.AddSerializedFile(file.SerializeToString())
    return pool


def _add_field(message: Any, name: str, number: str, kind: str) -> None:
    field = message.field.add(name=name, number=int(number))
    field.label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
    kind = kind.removesuffix("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    elif kind in ENUMS:
        # Each enumeration lives in a message of its own: value names share one name space in a scope.
        field.type, field.type_name = _Field.TYPE_ENUM, f".{PACKAGE}.{kind}Scope.{kind}"
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
