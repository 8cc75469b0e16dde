// diagnose
