from .verification import Verification
from .verification_report import Finding, VerificationReport

__all__ = ['Finding', 'Verification', 'VerificationReport']
