"""ConvLSTM (Shi et al. 2015): recurrent convolutions on the latitude-longitude grid."""
