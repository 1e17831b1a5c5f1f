//! cluster_trouble
