"""Operators: the fused convolution, ReLU and max-pooling, what is said of it; classifier heads."""

from __future__ import annotations

from cnnzoo.ops._choice import Choice as Choice
from cnnzoo.ops._native import Status as Status
from cnnzoo.ops._native import set_isa as set_isa
from cnnzoo.ops._native import status as status
from cnnzoo.ops.classifier_head import classifier_head as classifier_head
from cnnzoo.ops.conv_relu_maxpool import conv_relu_maxpool as conv_relu_maxpool
from cnnzoo.ops.conv_relu_maxpool import explain as explain

status()  # loads the native kernels, so that exported programs find them with no call of ours
